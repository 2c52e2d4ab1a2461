/** Loading a snapshot chunk: frames as they come, or batches. Inside a transaction that the caller ends. */
import type { ChunkData, FrameStream, LoadResult } from '../../core/connector.ts';
import { ACT_DELETE, ACT_INSERT, ACT_REPLACE, type FoldedPart } from '../../core/folded-rows.ts';
import { batchValueBytes, OP_DELETE, type RowBatch } from '../../core/row-batch.ts';
import { appendActions, applyAppend, placeInSnapshot } from './apply-append.ts';
import { applyKeyed } from './apply-keyed.ts';
import { applyMultiset } from './apply-multiset.ts';
import { cellPaths } from './cell-path.ts';
import type { DeadLetterWriter } from './dead-letters.ts';
import { GROUP_WHOLE, mergeWhole } from './keyed-sql.ts';
import { DELETED_AT, joinSettings, tableSql, type WriteContext } from './lane.ts';
import { quoteIdent } from './sql.ts';
import { hasUniqueKey } from './target-table.ts';

export interface ChunkLoad {
  readonly id: string;
  readonly merge: boolean;
  readonly order: string;
}

async function pump(
  context: WriteContext,
  sql: string,
  stream: FrameStream,
): Promise<{ readonly rows: number; readonly bytes: number }> {
  const copy = await context.lane.connection.copyIn(sql);
  let bytes = 0;
  try {
    for await (const piece of stream.frames) {
      bytes += piece.length;
      await copy.write(piece);
    }
  } catch (error) {
    // Pieces end inside frames: the server would take all that follows, CopyFail and ROLLBACK, for the rest of one.
    context.lane.connection.destroy('a relay was broken off inside a frame');
    throw error;
  }
  return { rows: await copy.end(), bytes };
}

/** Frames of rows that may be there already: through a table of their own, then by key. */
async function mergeFrames(context: WriteContext, stream: FrameStream): Promise<LoadResult> {
  const { target, table, lane } = context;
  const encodings = target.schema.columns.map(() => 'binary' as const);
  const paths = cellPaths(target.schema, encodings, table).map((path) => ({
    ...path,
    stageType: path.target.bare,
  }));
  const columns = paths.map((path) => `${path.stageName} ${path.stageType}`).join(', ');
  const chunk = 'pg_temp.forebay_chunk';
  await lane.connection.execute(`CREATE TEMP TABLE forebay_chunk (${columns}) ON COMMIT DROP`);
  const list = paths.map((path) => path.stageName).join(', ');
  const sent = await pump(context, `COPY ${chunk} (${list}) FROM STDIN (FORMAT binary)`, stream);
  const keyPaths = target.schema.key.flatMap((column) => paths[column] ?? []);
  const keyed = hasUniqueKey(
    table,
    keyPaths.map((path) => path.name),
  );
  await lane.connection.execute(joinSettings(table, keyed, sent.rows));
  const sql = {
    table,
    paths,
    keyPaths,
    soft: target.deletes === 'soft' && table.columns.has(DELETED_AT),
  };
  // No column of its own beside the stream's: the table may have as many as there can be.
  const stage = `(SELECT ${GROUP_WHOLE} AS g, c.* FROM ${chunk} c)`;
  const source = { stage, group: GROUP_WHOLE, count: sent.rows };
  const applied = await mergeWhole(lane.connection, sql, source);
  return { read: stream.rows(), applied, deadLettered: 0, bytes: sent.bytes };
}

async function loadFrames(
  context: WriteContext,
  chunk: ChunkLoad,
  stream: FrameStream,
): Promise<LoadResult> {
  const { schema } = context.target;
  if (chunk.merge && schema.identity === 'key') return mergeFrames(context, stream);
  const columns = schema.columns.map((column) => quoteIdent(column.name)).join(', ');
  const sql = `COPY ${tableSql(context)} (${columns}) FROM STDIN (FORMAT binary)`;
  const sent = await pump(context, sql, stream);
  return { read: stream.rows(), applied: sent.rows, deadLettered: 0, bytes: sent.bytes };
}

async function loadBatch(
  context: WriteContext,
  source: { readonly chunk: ChunkLoad; readonly batch: RowBatch },
  letters: DeadLetterWriter,
): Promise<{ readonly applied: number; readonly deadLettered: number }> {
  const { chunk, batch } = source;
  const { target } = context;
  if (target.load === 'append') {
    const parts: FoldedPart[] = [{ batch, actions: appendActions(batch) }];
    return applyAppend(context, { parts, place: placeInSnapshot(chunk.order) }, letters);
  }
  const merge = chunk.merge && target.schema.identity === 'key';
  const actions = new Uint8Array(batch.rowCount).fill(merge ? ACT_REPLACE : ACT_INSERT);
  for (let row = 0; merge && row < batch.rowCount; row++)
    if (batch.ops[row] === OP_DELETE) actions[row] = ACT_DELETE;
  const apply = merge ? applyKeyed : applyMultiset;
  return apply(context, [{ batch, actions }], letters);
}

export async function loadChunkData(
  context: WriteContext,
  source: { readonly chunk: ChunkLoad; readonly data: ChunkData },
  letters: DeadLetterWriter,
): Promise<LoadResult> {
  const { chunk, data } = source;
  if (data.kind === 'frames') return loadFrames(context, chunk, data.stream);
  let result: LoadResult = { read: 0, applied: 0, deadLettered: 0, bytes: 0 };
  for await (const batch of data.batches) {
    const loaded = await loadBatch(context, { chunk, batch }, letters);
    result = {
      read: result.read + batch.rowCount,
      applied: result.applied + loaded.applied,
      deadLettered: result.deadLettered + loaded.deadLettered,
      bytes: result.bytes + batchValueBytes(batch),
    };
    await letters.takeOver(data.takeRejected?.() ?? []);
  }
  await letters.takeOver(data.takeRejected?.() ?? []);
  return result;
}
