/** Every event as a row of its own, with columns that tell what happened, where and when. */
import { eventPosition, type TransactionMark } from '../../core/change-event.ts';
import type { StreamTarget, WriteResult } from '../../core/connector.ts';
import { ACT_APPEND, ACT_SKIP, type FoldedPart } from '../../core/folded-rows.ts';
import { OP_DELETE, OP_LETTERS, type RowBatch } from '../../core/row-batch.ts';
import { UNCHANGED_CELL } from '../../core/value.ts';
import { writeOrReject } from './apply-rejects.ts';
import {
  allNumbers,
  batchOf,
  type NumberedRows,
  numberRows,
  partsByEncoding,
  picksOf,
} from './apply-rows.ts';
import { type CellPath, cellPaths, columnList, stagedValue } from './cell-path.ts';
import type { RowTail } from './copy-encode.ts';
import { type DeadLetterWriter, timestampText } from './dead-letters.ts';
import { tableSql, type WriteContext } from './lane.ts';
import { quoteIdent } from './sql.ts';
import { copyRows, type StageShape } from './stage.ts';

const EVENT_COLUMNS = [
  { name: '_forebay_op', type: 'text' },
  { name: '_forebay_position', type: 'text' },
  { name: '_forebay_committed_at', type: 'timestamp with time zone' },
  { name: '_forebay_unchanged', type: 'text' },
] as const;

const STAMP_COLUMNS = [
  { name: '_forebay_execution_id', type: 'text' },
  { name: '_forebay_loaded_at', type: 'timestamp with time zone' },
] as const;

/** Columns beside the stream's own. */
export function eventColumns({
  stamp,
}: Pick<StreamTarget, 'stamp'>): readonly { readonly name: string; readonly type: string }[] {
  return stamp === undefined ? EVENT_COLUMNS : [...EVENT_COLUMNS, ...STAMP_COLUMNS];
}

/** Microseconds from 1970-01-01 to 2000-01-01, PostgreSQL's epoch. */
const EPOCH_MICROS = 946_684_800_000_000n;

/** Where an event stands and when it was committed. */
export interface EventPlace {
  position(batch: RowBatch, row: number): string;
  committedAt(batch: RowBatch, row: number): bigint | null;
}

export function placeInTransactions(transactions: readonly TransactionMark[]): EventPlace {
  const markOf = (batch: RowBatch, row: number): TransactionMark | undefined =>
    transactions[batch.transactions[row] ?? 0];
  return {
    position: (batch, row) => {
      const mark = markOf(batch, row);
      return mark === undefined ? '' : eventPosition(mark, batch.events[row] ?? 0);
    },
    committedAt: (batch, row) => markOf(batch, row)?.committedAtMicros ?? null,
  };
}

/** Snapshot rows all stand before the first event of their order. */
export function placeInSnapshot(order: string): EventPlace {
  const position = eventPosition({ order, committedAtMicros: null, ref: '' }, 0);
  return { position: () => position, committedAt: () => null };
}

export function unchangedNames(batch: RowBatch, row: number): string | null {
  const { columns } = batch.schema;
  const base = row * columns.length * 2 + 1;
  let names: string | null = null;
  for (const [column, { name }] of columns.entries()) {
    if (batch.cells[base + column * 2] === UNCHANGED_CELL)
      names = names === null ? name : `${names},${name}`;
  }
  return names;
}

function writeText(out: Buffer, at: number, text: string | null): number {
  if (text === null) return out.writeInt32BE(-1, at);
  const length = out.write(text, at + 4, 'utf8');
  out.writeInt32BE(length, at);
  return at + 4 + length;
}

/** Longest name in bytes is 63; a name and its comma for every column, and the position, fit. */
const FIXED_TAIL_BYTES = 80;
const NAME_BYTES = 64;

function writeMicros(out: Buffer, at: number, micros: bigint | null): number {
  if (micros === null) return out.writeInt32BE(-1, at);
  out.writeInt32BE(8, at);
  return out.writeBigInt64BE(micros - EPOCH_MICROS, at + 4);
}

export function eventTail(place: EventPlace, target: Pick<StreamTarget, 'stamp'>): RowTail {
  const { stamp } = target;
  const loadedAt = BigInt(Date.now()) * 1000n;
  return {
    fields: eventColumns(target).length,
    maxBytes: (batch, row) =>
      FIXED_TAIL_BYTES +
      (stamp?.length ?? 0) * 3 +
      place.position(batch, row).length * 3 +
      batch.schema.columns.length * NAME_BYTES,
    write: (out, start, batch, row) => {
      let at = writeText(out, start, OP_LETTERS[batch.ops[row] ?? 0] ?? 'r');
      at = writeText(out, at, place.position(batch, row));
      at = writeMicros(out, at, place.committedAt(batch, row));
      at = writeText(out, at, unchangedNames(batch, row));
      if (stamp === undefined) return at;
      return writeMicros(out, writeText(out, at, stamp), loadedAt);
    },
  };
}

async function appendRows(
  context: WriteContext,
  source: {
    readonly rows: NumberedRows;
    readonly paths: readonly CellPath[];
    readonly tail: RowTail;
  },
  numbers: Int32Array,
): Promise<number> {
  const { rows, paths, tail } = source;
  const { lane } = context;
  const events = eventColumns(context.target);
  const names = events.map((column) => quoteIdent(column.name));
  const columns = [columnList(paths), ...names].join(', ');
  const shape: StageShape = {
    paths,
    tail: {
      row: tail,
      columns: events,
    },
  };
  if (paths.every((path) => path.direct)) {
    const into = { into: tableSql(context), columns, shape, numbered: false };
    return (await copyRows(lane.connection, into, picksOf(rows, numbers))).rows;
  }
  const stage = await lane.stages.fill(shape, picksOf(rows, numbers));
  const values = [
    ...paths.map((path) => stagedValue(path, 's')),
    ...names.map((name) => `s.${name}`),
  ];
  const { rowCount } = await lane.connection.query(
    `INSERT INTO ${tableSql(context)} (${columns}) OVERRIDING SYSTEM VALUE
     SELECT ${values.join(', ')} FROM ${stage} s ORDER BY s.r`,
  );
  return rowCount;
}

function stampTexts({ stamp }: StreamTarget): Readonly<Record<string, string>> {
  if (stamp === undefined) return {};
  return { _forebay_execution_id: stamp, _forebay_loaded_at: new Date().toISOString() };
}

function isSkipped(part: FoldedPart, row: number): boolean {
  return part.actions[row] === ACT_SKIP;
}

async function appendGroup(
  context: WriteContext,
  given: { readonly parts: readonly FoldedPart[]; readonly place: EventPlace },
  letters: DeadLetterWriter,
): Promise<WriteResult> {
  const { parts, place } = given;
  const ignored = context.target.deletes === 'ignore';
  const rows = numberRows(parts, isSkipped);
  const kept = ignored
    ? numberRows(parts, (part, row) => isSkipped(part, row) || part.batch.ops[row] === OP_DELETE)
    : rows;
  const paths = cellPaths(context.target.schema, parts[0]?.batch.encodings ?? [], context.table);
  let applied = rows.row.length - kept.row.length;
  let deadLettered = 0;
  await writeOrReject(
    {
      lane: context.lane,
      settings: 'SET LOCAL enable_hashjoin = on',
      write: async (numbers) => {
        const source = { rows: kept, paths, tail: eventTail(place, context.target) };
        const added = await appendRows(context, source, numbers);
        return () => {
          applied += added;
        };
      },
      whenNotUnique: null,
      reject: async (number, error) => {
        deadLettered += 1;
        const batch = batchOf(kept, number);
        const row = kept.row[number] ?? 0;
        const position = place.position(batch, row);
        const extra = {
          _forebay_op: OP_LETTERS[batch.ops[row] ?? 0] ?? 'r',
          _forebay_position: position,
          _forebay_committed_at: timestampText(place.committedAt(batch, row)),
          _forebay_unchanged: unchangedNames(batch, row),
          ...stampTexts(context.target),
        };
        const plan = {
          table: context.table.name,
          action: 'add',
          match: {},
          extra,
          soft: false,
        } as const;
        await letters.put({ batch, row, plan, position }, error);
      },
    },
    allNumbers(kept),
  );
  return { applied, deadLettered, missing: [] };
}

export async function applyAppend(
  context: WriteContext,
  source: { readonly parts: readonly FoldedPart[]; readonly place: EventPlace },
  letters: DeadLetterWriter,
): Promise<WriteResult> {
  let applied = 0;
  let deadLettered = 0;
  for (const parts of partsByEncoding(source.parts)) {
    const result = await appendGroup(context, { parts, place: source.place }, letters);
    applied += result.applied;
    deadLettered += result.deadLettered;
  }
  return { applied, deadLettered, missing: [] };
}

export function appendActions(batch: RowBatch): Uint8Array {
  return new Uint8Array(batch.rowCount).fill(ACT_APPEND);
}
