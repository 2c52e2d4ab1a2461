/** Rows of `_forebay.dead_letters`: rows that were not written, as text, with what is needed to try again. */
import { randomUUID } from 'node:crypto';
import type { StreamTarget } from '../../core/connector.ts';
import type { FailedTransformation, RejectedRow } from '../../core/dead-letter.ts';
import { type RowBatch, rowStride } from '../../core/row-batch.ts';
import type { StreamId } from '../../core/stream-schema.ts';
import { NULL_CELL } from '../../core/value.ts';
import type { Connection } from './database.ts';
import { printCell, printText } from './value-text.ts';

export type Payload = Readonly<Record<string, string | null>>;

export interface NewLetter {
  readonly pipeline: string;
  readonly target: StreamTarget;
  readonly op: string;
  readonly code: string;
  readonly reason: string;
  readonly position: string;
  readonly payload: Payload;
  readonly key: string | null;
  /** False: the payload shows a value in another form, so it cannot be written again. */
  readonly replayable: boolean;
  readonly transformation?: FailedTransformation;
}

/** How a letter is written again; stands as JSON beside its payload. */
export type LetterTarget = StreamTarget & {
  readonly replayable?: boolean;
  readonly transformation?: FailedTransformation;
};

/** A cell as text; null is NULL, undefined a cell that was not sent. */
function cellText(batch: RowBatch, row: number, column: number): string | null | undefined {
  const word = row * rowStride(batch) + column * 2;
  const offset = batch.cells[word] ?? 0;
  const length = batch.cells[word + 1] ?? NULL_CELL;
  if (length === NULL_CELL) return null;
  const type = batch.schema.columns[column]?.type;
  if (length < 0 || type === undefined) return undefined;
  const cell = { bytes: batch.slab, offset, length };
  return batch.encodings[column] === 'text' ? printText(cell) : printCell(type, cell);
}

export function rowPayload(batch: RowBatch, row: number): Payload {
  const payload: Record<string, string | null> = {};
  for (const [index, column] of batch.schema.columns.entries()) {
    const text = cellText(batch, row, index);
    if (text !== undefined) payload[column.name] = text;
  }
  return payload;
}

/** The key's values in one text; null where rows have no key. */
export function rowKey(batch: RowBatch, row: number): string | null {
  const { key } = batch.schema;
  if (key.length === 0) return null;
  return JSON.stringify(key.map((column) => cellText(batch, row, column) ?? null));
}

/** The letter of a row that did not get as far as the table. */
export function rejectedLetter(
  pipeline: string,
  target: StreamTarget,
  row: RejectedRow,
): NewLetter {
  const key = Object.values(row.key);
  return {
    pipeline,
    target,
    op: row.op,
    code: row.code,
    reason: row.reason,
    position: row.position ?? '',
    payload: row.payload,
    key: key.length === 0 || target.load === 'append' ? null : JSON.stringify(key),
    replayable: !row.altered,
    transformation: row.transformation,
  };
}

export async function addLetter(connection: Connection, letter: NewLetter): Promise<void> {
  await connection.run(
    `INSERT INTO _forebay.dead_letters
       (id, pipeline, stream, op, code, reason, position, payload, created_at, row_key, superseded, target)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, now(), ?, false, ?)`,
    [
      // Version 7 would sort by time, but ids are only ever compared.
      randomUUID(),
      letter.pipeline,
      letter.target.id,
      letter.op,
      letter.code,
      letter.reason,
      letter.position,
      JSON.stringify(letter.payload),
      letter.key,
      JSON.stringify({
        ...letter.target,
        replayable: letter.replayable,
        ...(letter.transformation === undefined ? {} : { transformation: letter.transformation }),
      } satisfies LetterTarget),
    ],
  );
}

export async function openLetterKeys(
  connection: Connection,
  pipeline: string,
  stream: StreamId,
): Promise<Set<string>> {
  const rows = await connection.all(
    `SELECT DISTINCT row_key FROM _forebay.dead_letters
     WHERE pipeline = ? AND stream = ? AND replayed_at IS NULL AND NOT superseded AND row_key IS NOT NULL`,
    [pipeline, stream],
  );
  return new Set(rows.map(([key]) => String(key)));
}

/** A later change of the row was applied: writing the letter would undo it. */
export async function supersedeLetters(
  connection: Connection,
  row: { readonly pipeline: string; readonly stream: StreamId; readonly key: string },
): Promise<void> {
  await connection.run(
    `UPDATE _forebay.dead_letters SET superseded = true
     WHERE pipeline = ? AND stream = ? AND row_key = ? AND replayed_at IS NULL`,
    [row.pipeline, row.stream, row.key],
  );
}
