/** The dead letters of a file, as the worker reads, writes again and removes them. */
import { z } from 'zod';
import type { StreamTarget } from '../../core/connector.ts';
import type {
  DeadLetter,
  IndexedLetter,
  LetterPage,
  LetterRange,
  Retransformed,
} from '../../core/dead-letter.ts';
import { ForebayError } from '../../core/errors.ts';
import {
  ACT_APPEND,
  ACT_DELETE,
  ACT_PATCH,
  ACT_REPLACE,
  type FoldedRows,
} from '../../core/folded-rows.ts';
import { OP_LETTERS, type RowBatch, RowBatchBuilder } from '../../core/row-batch.ts';
import { NULL_CELL } from '../../core/value.ts';
import type { Connection } from './database.ts';
import type { LetterTarget, Payload } from './letters.ts';
import { hasMetadata } from './metadata.ts';
import { Workspace } from './workspace.ts';
import { unchangedColumns, writeRows } from './write-rows.ts';

const COLUMNS = `id, pipeline, stream, op, code, reason, position,
  strftime(created_at AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%gZ'),
  strftime(replayed_at AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%gZ'), target::VARCHAR`;

const payloadSchema = z.record(z.string(), z.string().nullable());

type Summary = Omit<DeadLetter, 'payload'>;

function readSummary(row: readonly unknown[]): Summary {
  const [id, pipeline, stream, op, code, reason, position, at, replayedAt, target] = row;
  // Written by us.
  const { transformation } = JSON.parse(String(target)) as LetterTarget;
  return {
    id: String(id),
    pipeline: String(pipeline),
    stream: String(stream),
    op: String(op),
    code: String(code),
    reason: String(reason),
    position: String(position),
    at: String(at),
    replayedAt: typeof replayedAt === 'string' ? replayedAt : null,
    transformation: transformation ?? null,
  };
}

export async function listLetters(
  connection: Connection,
  pipeline: string | null,
): Promise<Summary[]> {
  if (!(await hasMetadata(connection))) return [];
  const rows = await connection.all(
    `SELECT ${COLUMNS} FROM _forebay.dead_letters WHERE ? IS NULL OR pipeline = ? ORDER BY created_at, rowid`,
    [pipeline, pipeline],
  );
  return rows.map(readSummary);
}

export async function getLetter(connection: Connection, id: string): Promise<DeadLetter | null> {
  if (!(await hasMetadata(connection))) return null;
  const [row] = await connection.all(
    `SELECT ${COLUMNS}, payload::VARCHAR FROM _forebay.dead_letters WHERE id = ?`,
    [id],
  );
  if (row === undefined) return null;
  return { ...readSummary(row), payload: payloadSchema.parse(JSON.parse(String(row[10]))) };
}

export async function removeLetters(
  connection: Connection,
  ids: readonly string[],
): Promise<number> {
  if (!(await hasMetadata(connection))) return 0;
  let removed = 0;
  for (const id of ids) {
    removed += await connection.run('DELETE FROM _forebay.dead_letters WHERE id = ?', [id]);
  }
  return removed;
}

/** A cursor is the time in microseconds and the number of the row: of one transaction all have the same time. */
function readCursor(after: string | null): readonly [at: string | null, row: string | null] {
  const [at = null, row = null] = after?.split('/') ?? [];
  return [at, row];
}

export async function letterPage(connection: Connection, range: LetterRange): Promise<LetterPage> {
  if (!(await hasMetadata(connection))) return { letters: [], next: null };
  const { pipelines, stream, ids, openOnly, limit } = range;
  const [at, row] = readCursor(range.after);
  const rows = await connection.all(
    `SELECT id, stream, code, reason, strftime(created_at AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%gZ'),
       replayed_at IS NULL AND NOT superseded, target::VARCHAR, epoch_us(created_at)::VARCHAR, rowid::VARCHAR
     FROM _forebay.dead_letters
     WHERE EXISTS (SELECT 1 FROM (SELECT unnest(from_json(?, '["VARCHAR"]')) AS name) AS f
         WHERE pipeline = f.name OR starts_with(pipeline, f.name || '_'))
       AND (? IS NULL OR stream = ?)
       AND (? IS NULL OR id IN (SELECT unnest(from_json(?, '["VARCHAR"]'))))
       AND (? = 0 OR (replayed_at IS NULL AND NOT superseded))
       AND (? IS NULL OR epoch_us(created_at) > ?::BIGINT
         OR (epoch_us(created_at) = ?::BIGINT AND rowid > ?::BIGINT))
     ORDER BY created_at, rowid LIMIT ?`,
    [
      JSON.stringify(pipelines),
      stream,
      stream,
      ids === null ? null : '',
      JSON.stringify(ids ?? []),
      openOnly ? 1 : 0,
      at,
      at,
      at,
      row,
      limit,
    ],
  );
  const last = rows.length < limit ? undefined : rows.at(-1);
  return {
    letters: rows.map(readIndexed),
    next: last === undefined ? null : `${String(last[7])}/${String(last[8])}`,
  };
}

/** Reasons are written here, of names alone; those of transformations are not. */
function readIndexed(row: readonly unknown[]): IndexedLetter {
  const [id, stream, code, reason, at, isOpen, target] = row;
  // Written by us.
  const { transformation } = JSON.parse(String(target)) as LetterTarget;
  return {
    id: String(id),
    stream: String(stream),
    code: String(code),
    reason:
      transformation === undefined
        ? String(reason)
        : `the transformation ${transformation.id} rejected the row`,
    at: String(at),
    isOpen: isOpen === true,
  };
}

/** Ids in the order in which the letters came. */
export async function orderLetters(
  connection: Connection,
  ids: readonly string[],
): Promise<string[]> {
  if (!(await hasMetadata(connection))) return [...ids];
  const rows = await connection.all(
    `SELECT id FROM _forebay.dead_letters WHERE id IN (SELECT unnest(from_json(?, '["VARCHAR"]')))
     ORDER BY created_at, rowid`,
    [JSON.stringify(ids)],
  );
  const known = rows.map(([id]) => String(id));
  const found = new Set(known);
  return [...known, ...ids.filter((id) => !found.has(id))];
}

interface Letter {
  readonly op: string;
  readonly pipeline: string;
  readonly payload: Payload;
  readonly target: StreamTarget;
  readonly position: string;
}

function letterBatch({ payload, target, op }: Letter): RowBatch {
  const texts = target.schema.columns.map(({ name }) => payload[name]);
  const slab = Buffer.from(texts.map((text) => text ?? '').join(''), 'utf8');
  const encodings = target.schema.columns.map(() => 'text' as const);
  const builder = new RowBatchBuilder(target.schema, encodings, slab);
  const base = builder.beginRow(
    Math.max(
      OP_LETTERS.findIndex((letter) => letter === op),
      0,
    ),
    0,
    0,
  );
  let at = 0;
  for (const [index, text] of texts.entries()) {
    if (text === undefined) continue;
    const length = text === null ? NULL_CELL : Buffer.byteLength(text, 'utf8');
    builder.cells[base + index * 2] = at;
    builder.cells[base + index * 2 + 1] = length;
    at += Math.max(length, 0);
  }
  return builder.finish();
}

function foldLetter(letter: Letter): FoldedRows {
  const batch = letterBatch(letter);
  if (letter.target.load === 'append') {
    const [order = '', event = '0'] = splitPosition(letter.position);
    const events = Int32Array.of(Number(event));
    const mark = { order, committedAtMicros: null, ref: '' };
    const parts = [{ batch: { ...batch, events }, actions: Uint8Array.of(ACT_APPEND) }];
    return { kind: 'append', parts, transactions: [mark] };
  }
  let action: number = ACT_REPLACE;
  if (letter.op === 'd') action = ACT_DELETE;
  else if (unchangedColumns(batch, 0).length > 0) action = ACT_PATCH;
  const parts = [{ batch, actions: Uint8Array.of(action) }];
  return { kind: letter.target.schema.key.length > 0 ? 'keyed' : 'multiset', parts };
}

function splitPosition(position: string): string[] {
  const at = position.lastIndexOf('/');
  return [position.slice(0, at), position.slice(at + 1)];
}

/** What a row that a transformation had rejected has become. */
export type Replacement = Exclude<Retransformed, { readonly kind: 'failed' }>;

/** The letter to write instead; null: there is nothing to write. */
function replace(letter: Letter, replacement: Replacement | null): Letter | null {
  if (replacement === null) return letter;
  const { target } = replacement;
  if (replacement.kind === 'row') return { ...letter, target, payload: replacement.payload };
  const keyed = target.load !== 'append' && target.schema.key.length > 0;
  return keyed ? { ...letter, target, op: 'd', payload: replacement.key } : null;
}

/** Writes one letter in a transaction of its own. Returns why it was not written. */
export async function replayLetter(
  connection: Connection,
  id: string,
  replacement: Replacement | null,
): Promise<string | null> {
  const [row] = (await hasMetadata(connection))
    ? await connection.all(
        `SELECT op, pipeline, payload::VARCHAR, target::VARCHAR, position, superseded, replayed_at IS NOT NULL
         FROM _forebay.dead_letters WHERE id = ?`,
        [id],
      )
    : [];
  if (row === undefined) {
    throw new ForebayError('dlq_entry_missing', { message: `No dead letter ${id}` });
  }
  if (row[6] === true) return 'it was replayed before';
  if (row[5] === true) return 'a later change of the same key was applied';
  // Written by us as it came from the engine.
  const target = JSON.parse(String(row[3])) as LetterTarget;
  if (target.replayable === false) {
    return 'it holds text that is not UTF-8; correct the row at the source, or drop the letter';
  }
  if (target.transformation !== undefined && replacement === null) {
    return `the transformation ${target.transformation.id} rejected it: replay it with the stream that has the transformation`;
  }
  const letter: Letter = {
    op: String(row[0]),
    pipeline: String(row[1]),
    payload: payloadSchema.parse(JSON.parse(String(row[2]))),
    target,
    position: String(row[4]),
  };
  const written = replace(letter, replacement);
  if (written !== null) return writeLetter(connection, id, written);
  await connection.run('UPDATE _forebay.dead_letters SET replayed_at = now() WHERE id = ?', [id]);
  return null;
}

async function writeLetter(
  connection: Connection,
  id: string,
  letter: Letter,
): Promise<string | null> {
  const workspace = new Workspace(connection, letter.pipeline, true);
  await connection.run('BEGIN TRANSACTION');
  try {
    await connection.run('UPDATE _forebay.dead_letters SET replayed_at = now() WHERE id = ?', [id]);
    await connection.run(
      `UPDATE _forebay.dead_letters AS o SET superseded = true FROM _forebay.dead_letters AS l
       WHERE l.id = ? AND o.rowid < l.rowid AND o.pipeline = l.pipeline AND o.stream = l.stream
         AND o.row_key = l.row_key AND o.replayed_at IS NULL`,
      [id],
    );
    const answer = await writeRows(workspace, letter.target, foldLetter(letter));
    if (answer.deadLettered > 0 || answer.missing.length > 0) {
      await connection.rollback();
      return answer.deadLettered > 0
        ? 'it was refused again'
        : 'the row that it updates is not there';
    }
    await connection.run('COMMIT');
    return null;
  } catch (error) {
    await connection.rollback();
    if (error instanceof ForebayError) return error.message;
    throw error;
  }
}
