import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { streamSchema } from '../../test/support/batches.ts';
import type { ChangePiece } from '../core/change-event.ts';
import { OP_BEFORE, OP_INSERT, OP_UPDATE } from '../core/row-batch.ts';
import { SLAB_BYTES, SlabPool } from '../core/slab.ts';
import type { StreamSchema } from '../core/stream-schema.ts';
import { Batcher, shouldSeal } from './batcher.ts';

const schemas = ['a', 'b'].map((name) => streamSchema({ id: { kind: 'int', bits: 32 } }, { name }));
const limits = { rows: 5, ms: 1000, bytes: 4 * SLAB_BYTES };
/** Kept between runs: slabs are large. */
const slabs = new SlabPool(200 * SLAB_BYTES);
const never = new AbortController().signal;

interface Event {
  readonly stream: number;
  /** Sends the old identity as well. */
  readonly pair: boolean;
  readonly newSlab: boolean;
}

const event: fc.Arbitrary<Event> = fc.record({
  stream: fc.nat(1),
  pair: fc.boolean(),
  newSlab: fc.nat(7).map((n) => n === 0),
});
const transaction = fc.array(event, { maxLength: 25 });
const run = fc.record({
  transactions: fc.array(transaction, { maxLength: 12 }),
  /** After which transactions somebody takes what is there. */
  takes: fc.array(fc.boolean(), { minLength: 1, maxLength: 4 }),
});

interface Seen {
  readonly stream: string;
  readonly transaction: string;
  readonly event: number;
  readonly op: number;
}

function rowsOf(piece: ChangePiece): Seen[] {
  const seen: Seen[] = [];
  for (const [stream, items] of piece.streams) {
    for (const item of items) {
      if (item.kind !== 'rows') continue;
      const { batch } = item;
      for (let row = 0; row < batch.rowCount; row += 1) {
        const mark = piece.transactions[batch.transactions[row] ?? -1];
        seen.push({
          stream,
          transaction: mark?.order ?? 'none',
          event: batch.events[row] ?? -1,
          op: batch.ops[row] ?? -1,
        });
      }
    }
  }
  return seen;
}

/** A reader that fills slabs as it goes. */
class Writer {
  readonly #batcher: Batcher;
  #slab: Buffer | null = null;

  constructor(batcher: Batcher) {
    this.#batcher = batcher;
  }

  put({ stream, pair, newSlab }: Event): void {
    if (this.#slab === null || newSlab) this.#turn();
    const slab = this.#slab;
    if (slab === null) throw new Error('no slab');
    const schema: StreamSchema | undefined = schemas[stream];
    if (schema === undefined) throw new Error('no schema');
    const place = this.#batcher.nextEvent();
    for (const op of pair ? [OP_BEFORE, OP_UPDATE] : [OP_INSERT]) {
      const builder = this.#batcher.rows(schema, ['text'], slab);
      builder.beginRow(op, this.#batcher.transaction, place);
      this.#batcher.added(8);
    }
  }

  end(): void {
    if (this.#slab !== null) this.#batcher.closeSlab(this.#slab);
    this.#slab = null;
  }

  #turn(): void {
    this.end();
    this.#slab = this.#batcher.slabs.take(64);
    this.#batcher.openSlab(this.#slab);
  }
}

async function drain(batcher: Batcher, pieces: ChangePiece[]): Promise<void> {
  for (;;) {
    const piece = await batcher.next(0, never);
    if (piece === null) return;
    pieces.push(piece);
  }
}

async function play({
  transactions,
  takes,
}: {
  transactions: readonly (readonly Event[])[];
  takes: readonly boolean[];
}) {
  const batcher = new Batcher(slabs, { ...limits, bytes: 1024 * SLAB_BYTES }, () => 0);
  const writer = new Writer(batcher);
  const pieces: ChangePiece[] = [];
  for (const [index, events] of transactions.entries()) {
    batcher.begin({ order: String(index).padStart(4, '0'), committedAtMicros: null, ref: '1' });
    for (const item of events) writer.put(item);
    batcher.commit(String(index));
    if (takes[index % takes.length] === true) await drain(batcher, pieces);
  }
  writer.end();
  batcher.flush();
  await drain(batcher, pieces);
  const rows = pieces.map(rowsOf);
  for (const piece of pieces) batcher.release(piece);
  return { batcher, pieces, rows };
}

describe('Batcher', () => {
  test('hands out every event once, in order, with its transaction', async () => {
    await fc.assert(
      fc.asyncProperty(run, async (given) => {
        const { pieces, rows } = await play(given);
        for (const stream of ['public.a', 'public.b']) {
          const expected = given.transactions.flatMap((events, index) =>
            events.flatMap((item, place): Seen[] => {
              if (`public.${'ab'.charAt(item.stream)}` !== stream) return [];
              const row = { stream, transaction: String(index).padStart(4, '0'), event: place };
              const ops = item.pair ? [OP_BEFORE, OP_UPDATE] : [OP_INSERT];
              return ops.map((op) => ({ ...row, op }));
            }),
          );
          expect(rows.flat().filter((row) => row.stream === stream)).toEqual(expected);
        }
        const events = given.transactions.flat().length;
        expect(pieces.reduce((sum, piece) => sum + piece.events, 0)).toBe(events);
      }),
      { numRuns: 300 },
    );
  });

  test('a piece with a position ends a transaction; an old identity stays with its update', async () => {
    await fc.assert(
      fc.asyncProperty(run, async (given) => {
        const { pieces, rows } = await play(given);
        for (const [index, piece] of pieces.entries()) {
          const orders = rows[index]?.map((row) => row.transaction).toSorted() ?? [];
          const later = rows.slice(index + 1).flat();
          if (piece.commit === null) continue;
          const position = piece.commit.padStart(4, '0');
          expect((orders.at(-1) ?? '') <= position).toBe(true);
          expect(later.every((row) => row.transaction > position)).toBe(true);
        }
        for (const piece of pieces) {
          for (const items of piece.streams.values()) {
            const ops = items.flatMap((item) => (item.kind === 'rows' ? [...item.batch.ops] : []));
            expect(ops.every((op, at) => op !== OP_BEFORE || ops[at + 1] === OP_UPDATE)).toBe(true);
          }
        }
        if (given.transactions.flat().length > 0) expect(pieces.at(-1)?.commit).not.toBeNull();
      }),
      { numRuns: 300 },
    );
  });

  test('every slab comes back when the pieces are released', async () => {
    await fc.assert(
      fc.asyncProperty(run, async (given) => {
        const { batcher } = await play(given);
        expect(slabs.takenBytes).toBe(0);
        const last = given.transactions.length - 1;
        expect(batcher.idlePosition).toBe(last < 0 ? null : String(last));
      }),
      { numRuns: 300 },
    );
  });

  test('is full at its budget, and wakes the reader when a piece is released', async () => {
    const batcher = new Batcher(new SlabPool(0), { ...limits, bytes: SLAB_BYTES }, () => 0);
    const writer = new Writer(batcher);
    batcher.begin({ order: '1', committedAtMicros: null, ref: '1' });
    writer.put({ stream: 0, pair: false, newSlab: true });
    expect(batcher.full).toBe(true);
    writer.end();
    const woken = batcher.drained();
    const piece = await batcher.next(0, never);
    expect(piece).toMatchObject({ commit: null, events: 1 });
    if (piece !== null) batcher.release(piece);
    await woken;
    expect(batcher.full).toBe(false);
  });

  test('gathers on while pieces that wait hold most of the memory', async () => {
    const batcher = new Batcher(new SlabPool(0), limits, () => 0);
    const writer = new Writer(batcher);
    const transact = (order: string, events: number): void => {
      batcher.begin({ order, committedAtMicros: null, ref: order });
      for (let i = 0; i < events; i += 1) writer.put({ stream: 0, pair: false, newSlab: i === 0 });
      batcher.commit(order);
    };
    const held = [batcher.slabs.take(64), batcher.slabs.take(64)];
    transact('1', 15);
    for (const order of ['2', '3', '4']) transact(order, 1);
    writer.end();
    batcher.flush();
    expect(await batcher.next(0, never)).toMatchObject({ commit: '1', events: 15 });
    expect(await batcher.next(0, never)).toMatchObject({ commit: '4', events: 3 });
    for (const slab of held) batcher.slabs.give(slab);
  });

  test('is not full of a row that is larger than its budget and not yet whole', async () => {
    const pool = new SlabPool(0);
    const batcher = new Batcher(pool, { ...limits, bytes: SLAB_BYTES }, () => 0);
    const writer = new Writer(batcher);
    batcher.begin({ order: '1', committedAtMicros: null, ref: '1' });
    writer.put({ stream: 0, pair: false, newSlab: true });
    const large = pool.take(SLAB_BYTES * 4);
    expect(batcher.full).toBe(true);
    const woken = batcher.drained();
    const piece = await batcher.next(0, never);
    if (piece !== null) batcher.release(piece);
    await woken;
    expect(batcher.full).toBe(false);
    pool.give(large);
  });

  test('ends a transaction that was cut also where only its end was still to come', async () => {
    const batcher = new Batcher(new SlabPool(0), { ...limits, bytes: SLAB_BYTES }, () => 0);
    const writer = new Writer(batcher);
    batcher.begin({ order: '1', committedAtMicros: null, ref: '1' });
    writer.put({ stream: 0, pair: false, newSlab: true });
    const cut = await batcher.next(0, never);
    expect(cut).toMatchObject({ commit: null, events: 1 });
    if (cut !== null) batcher.release(cut);
    batcher.commit('1');
    expect(batcher.idlePosition).toBeNull();
    expect(await batcher.next(0, never)).toMatchObject({ commit: '1', events: 0 });
    expect(await batcher.next(0, never)).toBeNull();
    expect(batcher.idlePosition).toBe('1');
  });

  test('tells an idle position only when nothing is in hand', async () => {
    const batcher = new Batcher(new SlabPool(0), limits, () => 0);
    const writer = new Writer(batcher);
    expect(batcher.idlePosition).toBeNull();
    batcher.idle('5');
    expect(batcher.idlePosition).toBe('5');
    batcher.begin({ order: '6', committedAtMicros: null, ref: '1' });
    batcher.idle('7');
    expect(batcher.idlePosition).toBeNull();
    writer.put({ stream: 0, pair: false, newSlab: true });
    batcher.commit('8');
    expect(batcher.idlePosition).toBeNull();
    batcher.flush();
    expect(batcher.idlePosition).toBeNull();
    expect(await batcher.next(0, never)).toMatchObject({ commit: '8' });
    expect(batcher.idlePosition).toBe('8');
  });
});

describe('shouldSeal', () => {
  const facts = fc.record({
    events: fc.nat(40),
    ageMs: fc.nat(3000),
    bytes: fc.nat(4 * SLAB_BYTES),
    someoneWaits: fc.boolean(),
    inTransaction: fc.boolean(),
  });

  test('never an empty piece; never inside a transaction but for its size', () => {
    fc.assert(
      fc.property(facts, (given) => {
        const sealed = shouldSeal(given, limits);
        if (given.events === 0) expect(sealed).toBe(false);
        const large = given.events >= limits.rows * 3 || given.bytes >= limits.bytes / 2;
        if (sealed && given.inTransaction) expect(large).toBe(true);
        if (given.events > 0 && large) expect(sealed).toBe(true);
      }),
    );
  });
});
