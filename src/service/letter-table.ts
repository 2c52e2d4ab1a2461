/** Dead letters as rows of a table in any system that a connector can write, in transactions of its own. */
import { createHash } from 'node:crypto';
import type {
  ConnectorContext,
  Destination,
  DestinationSession,
  StreamTarget,
} from '../core/connector.ts';
import { ACT_INSERT } from '../core/folded-rows.ts';
import { OP_INSERT, type RowBatch, RowBatchBuilder } from '../core/row-batch.ts';
import type { SlabPool } from '../core/slab.ts';
import type { Column, StreamName } from '../core/stream-schema.ts';
import type { LogicalType } from '../core/value.ts';
import { type LetterSink, type PrintedLetter, printLetter } from './letter-sink.ts';

const TEXT: LogicalType = { kind: 'text' };
const COLUMNS: readonly (readonly [name: keyof PrintedLetter, type: LogicalType])[] = [
  ['id', TEXT],
  ['at', { kind: 'timestamp', zoned: true }],
  ['pipeline', TEXT],
  ['stream', TEXT],
  ['op', TEXT],
  ['code', TEXT],
  ['reason', TEXT],
  ['position', TEXT],
  ['transformation', TEXT],
  ['attempts', { kind: 'int', bits: 32 }],
  ['payload', { kind: 'json' }],
];

function targetOf(table: StreamName): StreamTarget {
  const columns = COLUMNS.map(([name, type], index): Column => ({
    name,
    type,
    nativeType: '',
    nullable: index > 0,
    ref: String(index),
  }));
  return {
    id: 'forebay.dead_letters',
    schema: {
      stream: { namespace: 'forebay', name: 'dead_letters' },
      ref: 'dead_letters',
      version: 1,
      columns,
      computed: [],
      identity: 'key',
      key: [0],
      family: 'forebay',
    },
    table,
    load: 'upsert',
    deletes: 'ignore',
  };
}

function cellText(value: PrintedLetter[keyof PrintedLetter]): string | null {
  if (value === null || typeof value === 'string') return value;
  return JSON.stringify(value);
}

function batchOf(
  target: StreamTarget,
  letters: readonly PrintedLetter[],
  slabs: SlabPool,
): RowBatch {
  const cells = letters.map((letter) => COLUMNS.map(([name]) => cellText(letter[name])));
  const bytes = cells.flat().reduce((sum, cell) => sum + Buffer.byteLength(cell ?? ''), 0);
  const slab = slabs.take(Math.max(bytes, 1));
  const encodings = COLUMNS.map(() => 'text' as const);
  const builder = new RowBatchBuilder(target.schema, encodings, slab);
  let at = 0;
  for (const row of cells) {
    const base = builder.beginRow(OP_INSERT, 0, 0);
    for (const [column, cell] of row.entries()) {
      const word = base + column * 2;
      const length = cell === null ? -1 : slab.write(cell, at, 'utf8');
      builder.cells[word] = at;
      builder.cells[word + 1] = length;
      at += Math.max(0, length);
    }
  }
  return builder.finish();
}

/** At most 40 of `a-z0-9_`, the same for ever. */
function sessionName(pipeline: string): string {
  const hash = createHash('sha256').update(pipeline).digest('hex').slice(0, 8);
  return `${pipeline.slice(0, 23)}_${hash}_letters`;
}

const NO_POSITION = { position: '', source: { system: 'forebay', facts: {} }, accounts: {} };

export async function openLetterTable(
  place: { readonly pipeline: string; readonly table: StreamName },
  open: () => Promise<Destination>,
  context: ConnectorContext,
): Promise<LetterSink> {
  const { pipeline } = place;
  const target = targetOf(place.table);
  const destination = await open();
  let session: DestinationSession | null = null;
  let last: Promise<void> = Promise.resolve();
  const begin = async (): Promise<DestinationSession> => {
    const opened = await destination.openSession(sessionName(pipeline));
    await opened.prepare(target);
    await opened.finishSnapshot(target);
    return opened;
  };
  const append = async (letters: readonly PrintedLetter[]): Promise<void> => {
    session ??= await begin();
    const batch = batchOf(target, letters, context.slabs);
    try {
      await session.begin();
      const actions = new Uint8Array(letters.length).fill(ACT_INSERT);
      await session.write(target, { kind: 'keyed', parts: [{ batch, actions }] });
      await session.commit(NO_POSITION, []);
    } catch (error) {
      await session.rollback();
      throw error;
    } finally {
      context.slabs.give(batch.slab);
    }
  };
  return {
    write: (stream, rows) => {
      const at = new Date().toISOString();
      // A row that fails twice in one write stands once.
      const letters = new Map(
        rows.map((row) => printLetter({ pipeline, stream, at }, row)).map((one) => [one.id, one]),
      );
      const done = last.then(() =>
        letters.size === 0 ? undefined : append([...letters.values()]),
      );
      last = done.catch(() => {});
      return done;
    },
    [Symbol.asyncDispose]: async () => {
      await last;
      await session?.[Symbol.asyncDispose]();
      await destination[Symbol.asyncDispose]();
    },
  };
}
