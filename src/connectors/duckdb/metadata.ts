/** The tables of the schema `_forebay`: what is remembered of pipelines, in the file that holds their data. */
import { z } from 'zod';
import {
  type Checkpoint,
  checkpointChecksum,
  type PipelineState,
  type StreamRecord,
} from '../../core/checkpoint.ts';
import type { SessionOptions } from '../../core/connector.ts';
import { ForebayError } from '../../core/errors.ts';
import type { StreamId } from '../../core/stream-schema.ts';
import type { Connection } from './database.ts';

const FORMAT = 1;

/** No primary keys: each of these tables has one writer, which looks before it writes. */
const TABLES = [
  'CREATE SCHEMA IF NOT EXISTS _forebay',
  'CREATE TABLE IF NOT EXISTS _forebay.format (version INTEGER)',
  `CREATE TABLE IF NOT EXISTS _forebay.checkpoints (
     pipeline VARCHAR, shard VARCHAR DEFAULT 'main', epoch BIGINT, position VARCHAR, source JSON,
     accounts JSON, checksum VARCHAR, batch_id VARCHAR, updated_at TIMESTAMPTZ, run VARCHAR)`,
  // It came after the first release, which does without it.
  'ALTER TABLE _forebay.checkpoints ADD COLUMN IF NOT EXISTS run VARCHAR',
  `CREATE TABLE IF NOT EXISTS _forebay.streams (
     pipeline VARCHAR, stream VARCHAR, state VARCHAR, reason VARCHAR, detail VARCHAR)`,
  `CREATE TABLE IF NOT EXISTS _forebay.snapshot_chunks (
     pipeline VARCHAR, stream VARCHAR, chunk VARCHAR, rows BIGINT, loaded_at TIMESTAMPTZ)`,
  `CREATE TABLE IF NOT EXISTS _forebay.swaps (pipeline VARCHAR, stream VARCHAR)`,
  `CREATE TABLE IF NOT EXISTS _forebay.dead_letters (
     id VARCHAR, pipeline VARCHAR, stream VARCHAR, op VARCHAR, code VARCHAR, reason VARCHAR,
     position VARCHAR, payload JSON, created_at TIMESTAMPTZ, replayed_at TIMESTAMPTZ,
     row_key VARCHAR, superseded BOOLEAN, target JSON)`,
] as const;

export async function hasMetadata(connection: Connection): Promise<boolean> {
  const found = await connection.scalar(
    `SELECT count(*) FROM duckdb_tables() WHERE database_name = current_database()
       AND schema_name = '_forebay' AND table_name = 'format'`,
  );
  return found !== 0;
}

async function assertFormat(connection: Connection): Promise<void> {
  const version = await connection.scalar('SELECT max(version) FROM _forebay.format');
  if (typeof version === 'number' && version > FORMAT) {
    throw new ForebayError('newer_version', {
      message: `The metadata has format ${version}, this version knows ${FORMAT}`,
    });
  }
}

/** In a transaction of the caller's. */
export async function createMetadata(connection: Connection): Promise<void> {
  for (const statement of TABLES) await connection.run(statement);
  const rows = await connection.scalar('SELECT count(*) FROM _forebay.format');
  if (rows === 0) await connection.run('INSERT INTO _forebay.format VALUES (?)', [FORMAT]);
  await assertFormat(connection);
}

/** Takes the next epoch; in a transaction of the caller's. */
export async function takeEpoch(
  connection: Connection,
  pipeline: string,
  run: string | null,
): Promise<number> {
  const epoch = await connection.scalar(
    `SELECT max(epoch) FROM _forebay.checkpoints WHERE pipeline = ? AND shard = 'main'`,
    [pipeline],
  );
  const next = (typeof epoch === 'number' ? epoch : 0) + 1;
  const sql =
    epoch === null
      ? `INSERT INTO _forebay.checkpoints (epoch, run, pipeline, shard, updated_at) VALUES (?, ?, ?, 'main', now())`
      : `UPDATE _forebay.checkpoints SET epoch = ?, run = ?, updated_at = now() WHERE pipeline = ? AND shard = 'main'`;
  await connection.run(sql, [next, run, pipeline]);
  return next;
}

/** The fence: writes our row of the pipeline, which must still carry our epoch. */
export async function fence(
  connection: Connection,
  pipeline: string,
  epoch: number,
  checkpoint: Checkpoint | null,
): Promise<void> {
  const where = `WHERE pipeline = ? AND shard = 'main' AND epoch = ?`;
  const changed =
    checkpoint === null
      ? await connection.run(`UPDATE _forebay.checkpoints SET updated_at = now() ${where}`, [
          pipeline,
          epoch,
        ])
      : await connection.run(
          `UPDATE _forebay.checkpoints SET position = ?, source = ?, accounts = ?, checksum = ?,
             batch_id = ?, updated_at = now() ${where}`,
          [
            checkpoint.position,
            JSON.stringify(checkpoint.source),
            JSON.stringify(checkpoint.accounts),
            checkpointChecksum(pipeline, checkpoint),
            // The position ends exactly one batch of the pipeline.
            checkpointChecksum(`${pipeline}/batch`, checkpoint),
            pipeline,
            epoch,
          ],
        );
  if (changed !== 1) throw fenced(pipeline);
}

export function fenced(pipeline: string): ForebayError {
  return new ForebayError('fenced', { message: `A later run of pipeline ${pipeline} has begun` });
}

export async function readEpoch(connection: Connection, pipeline: string): Promise<number | null> {
  const epoch = await connection.scalar(
    `SELECT max(epoch) FROM _forebay.checkpoints WHERE pipeline = ? AND shard = 'main'`,
    [pipeline],
  );
  return typeof epoch === 'number' ? epoch : null;
}

export async function saveRecords(
  connection: Connection,
  pipeline: string,
  records: readonly StreamRecord[],
): Promise<void> {
  for (const { stream, state, reason, detail } of records) {
    const changed = await connection.run(
      'UPDATE _forebay.streams SET state = ?, reason = ?, detail = ? WHERE pipeline = ? AND stream = ?',
      [state, reason, detail, pipeline, stream],
    );
    if (changed > 0) continue;
    await connection.run('INSERT INTO _forebay.streams VALUES (?, ?, ?, ?, ?)', [
      pipeline,
      stream,
      state,
      reason,
      detail,
    ]);
  }
}

const sourceSchema = z.object({ system: z.string(), facts: z.record(z.string(), z.string()) });
const count = z.number();
const accountsSchema = z.record(
  z.string(),
  z.object({
    read: count,
    applied: count,
    folded: count,
    filtered: count,
    deadLettered: count,
    bytes: count,
  }),
);
const stateSchema = z.enum(['pending', 'snapshot', 'streaming', 'paused']);

function corrupt(pipeline: string): ForebayError {
  return new ForebayError('checkpoint_corrupt', {
    message: `The checkpoint of pipeline ${pipeline} does not match its checksum`,
  });
}

function parseCheckpoint(
  pipeline: string,
  row: readonly (string | null)[],
  acceptDamaged: boolean,
): Checkpoint | null {
  const [position, source, accounts, checksum] = row;
  if (position == null) {
    if (checksum != null) throw corrupt(pipeline);
    return null;
  }
  let checkpoint: Checkpoint;
  try {
    checkpoint = {
      position,
      source: sourceSchema.parse(JSON.parse(source ?? '')),
      accounts: accountsSchema.parse(JSON.parse(accounts ?? '{}')),
    };
  } catch {
    if (!acceptDamaged) throw corrupt(pipeline);
    return { position, source: { system: '', facts: {} }, accounts: {} };
  }
  if (!acceptDamaged && checkpointChecksum(pipeline, checkpoint) !== checksum)
    throw corrupt(pipeline);
  return checkpoint;
}

const text = (value: unknown): string | null => (typeof value === 'string' ? value : null);

/** Null if nothing is remembered of the pipeline. */
export async function readState(
  connection: Connection,
  pipeline: string,
  options: SessionOptions = { acceptDamaged: false },
): Promise<PipelineState | null> {
  if (!(await hasMetadata(connection))) return null;
  await assertFormat(connection);
  const [row] = await connection.all(
    `SELECT epoch, position, source::VARCHAR, accounts::VARCHAR, checksum, to_json(c) ->> '$.run'
     FROM _forebay.checkpoints c WHERE pipeline = ? AND shard = 'main'`,
    [pipeline],
  );
  if (row === undefined) return null;
  const streams = await connection.all(
    'SELECT stream, state, reason, detail FROM _forebay.streams WHERE pipeline = ? ORDER BY stream',
    [pipeline],
  );
  const chunkRows = await connection.all(
    'SELECT stream, chunk FROM _forebay.snapshot_chunks WHERE pipeline = ?',
    [pipeline],
  );
  const chunks = new Map<StreamId, Set<string>>();
  for (const [stream, chunk] of chunkRows) {
    const ids = chunks.get(String(stream)) ?? new Set();
    chunks.set(String(stream), ids.add(String(chunk)));
  }
  return {
    epoch: Number(row[0]),
    run: text(row[5]),
    checkpoint: parseCheckpoint(pipeline, row.slice(1).map(text), options.acceptDamaged),
    streams: streams.map(([stream, state, reason, detail]) => ({
      stream: String(stream),
      state: stateSchema.parse(state),
      reason: text(reason),
      detail: String(detail),
    })),
    chunks,
  };
}

export async function listPipelines(connection: Connection): Promise<string[]> {
  if (!(await hasMetadata(connection))) return [];
  const rows = await connection.all(
    'SELECT DISTINCT pipeline FROM _forebay.checkpoints ORDER BY 1',
  );
  return rows.map(([pipeline]) => String(pipeline));
}

/** Dead letters stay: they are data that is nowhere else. */
const PIPELINE_TABLES = ['checkpoints', 'streams', 'snapshot_chunks', 'swaps'] as const;

export async function dropPipeline(connection: Connection, pipeline: string): Promise<void> {
  if (!(await hasMetadata(connection))) return;
  await connection.transaction(async () => {
    for (const table of PIPELINE_TABLES) {
      await connection.run(`DELETE FROM _forebay.${table} WHERE pipeline = ?`, [pipeline]);
    }
  });
}

export async function recordChunk(
  connection: Connection,
  chunk: { readonly pipeline: string; readonly stream: string; readonly id: string },
  rows: number,
): Promise<void> {
  await connection.run('INSERT INTO _forebay.snapshot_chunks VALUES (?, ?, ?, ?, now())', [
    chunk.pipeline,
    chunk.stream,
    chunk.id,
    rows,
  ]);
}

export async function forgetChunks(
  connection: Connection,
  pipeline: string,
  stream: string,
): Promise<void> {
  for (const table of ['snapshot_chunks', 'swaps']) {
    await connection.run(`DELETE FROM _forebay.${table} WHERE pipeline = ? AND stream = ?`, [
      pipeline,
      stream,
    ]);
  }
}

export async function isSwapped(
  connection: Connection,
  pipeline: string,
  stream: string,
): Promise<boolean> {
  const found = await connection.scalar(
    'SELECT count(*) FROM _forebay.swaps WHERE pipeline = ? AND stream = ?',
    [pipeline, stream],
  );
  return found !== 0;
}
