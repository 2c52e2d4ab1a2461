// Tables that each execution reads as a whole: silver holds what the last reading had, no more and nothing twice.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { prepareState } from '../../src/layers/layer-state.ts';
import { beginReadings, completeReadings, type ReadRange } from '../../src/layers/readings.ts';
import { runSilver, type SilverResult } from '../../src/layers/silver.ts';
import type { SilverStream } from '../../src/layers/silver-plan.ts';
import type { Warehouse } from '../../src/layers/warehouse.ts';
import {
  appendBronze,
  createBronze,
  describeEachWarehouse,
  itemStream,
  rowsOf,
} from '../support/warehouses.ts';

const NOW = '2026-01-02T00:00:00.000Z';

type Row = readonly [id: number, name: string];

/** What an execution read is in bronze. */
async function noteReading(
  warehouse: Warehouse,
  execution: string,
  range: ReadRange | null,
): Promise<void> {
  const readings = [{ table: 'items', range }];
  await prepareState(warehouse);
  await beginReadings(warehouse, execution, readings);
  await completeReadings(warehouse, execution, readings);
}

/** One execution up to silver, or only up to bronze. */
async function read(
  warehouse: Warehouse,
  execution: string,
  given: {
    readonly position: string;
    readonly rows: readonly Row[];
    readonly stream: SilverStream;
  },
  refined = true,
): Promise<SilverResult | null> {
  const { position, rows, stream } = given;
  await appendBronze(
    warehouse,
    'items',
    rows.map(([id, name]) => ({ op: 'r', position, execution, values: { id, name } })),
  );
  await noteReading(warehouse, execution, null);
  return refined ? runSilver(warehouse, stream, { executionId: execution, now: NOW }) : null;
}

const rowsArbitrary = fc.array(
  fc.tuple(fc.integer({ min: 1, max: 6 }), fc.constantFrom('a', 'b', 'ä')),
  { maxLength: 8 },
);
/** Rows, whether the source's log had moved, and whether silver came to its turn. */
const readingsArbitrary = fc.array(
  fc.record({ rows: rowsArbitrary, moved: fc.boolean(), refined: fc.boolean() }),
  { minLength: 1, maxLength: 5 },
);

const byKey = (rows: readonly Row[]): readonly Row[] =>
  [...new Map(rows.map((r) => [r[0], r]))].map(([, row]) => row);

const texts = (rows: readonly Row[]): string[][] =>
  rows.map(([id, name]) => [String(id), name]).toSorted((a, b) => (String(a) < String(b) ? -1 : 1));

/** A row that nothing tells apart from another one. */
interface Line {
  at: number | null;
  readonly name: string;
}

interface Step {
  readonly how: 'cursor' | 'whole' | 'days' | 'names';
  /** How much later than all before; null: it has no time. */
  readonly added: readonly (readonly [later: number | null, name: string])[];
  /** Rows without a time get one, or the newest ones a newer one. */
  readonly touched: 'none' | 'untimed' | 'newest';
  /** `broken`: some of its rows land, and it ends. */
  readonly end: 'broken' | 'landed' | 'refined';
}

const stepArbitrary: fc.Arbitrary<Step> = fc.record({
  how: fc.constantFrom('cursor', 'cursor', 'whole', 'days', 'names'),
  added: fc.array(
    fc.tuple(
      fc.option(fc.integer({ min: 0, max: 1 }), { nil: null }),
      fc.constantFrom('a', 'b', 'c'),
    ),
    { maxLength: 4 },
  ),
  touched: fc.constantFrom('none', 'none', 'untimed', 'newest'),
  end: fc.constantFrom('broken', 'landed', 'refined', 'refined'),
});

const LAST: Step = { how: 'cursor', added: [[0, 'a']], touched: 'none', end: 'refined' };

const rangeOf = (how: Step['how'], cursor: number | null): ReadRange | null => {
  const from = cursor === null ? null : String(cursor);
  switch (how) {
    case 'cursor':
      return { column: 'at', from, to: null, withNulls: true };
    case 'days':
      return { column: 'at', from: '1', to: '3', withNulls: false };
    case 'names':
      return { column: 'name', from: null, to: 'c', withNulls: false };
    case 'whole':
      return null;
  }
};

const isRead = ({ at, name }: Line, range: ReadRange | null): boolean => {
  if (range === null) return true;
  if (range.column === 'name') return name < 'c';
  if (at === null) return range.withNulls;
  return at >= Number(range.from ?? 0) && at < Number(range.to ?? Number.POSITIVE_INFINITY);
};

/** The executions of a pipeline without a key, as the source changes between them. */
async function expectSame(warehouse: Warehouse, steps: readonly Step[]): Promise<void> {
  const stream = itemStream({ key: [], load: 'append' });
  await createBronze(warehouse, 'items', { at: 'integer', name: 'text' });
  await prepareState(warehouse);
  const source: Line[] = [];
  let newest = 0;
  let cursor: number | null = null;
  for (const [index, { how, added, touched, end }] of steps.entries()) {
    for (const [later, name] of added) {
      if (later !== null) newest += later;
      source.push({ at: later === null ? null : newest, name });
    }
    const moving = { none: undefined, untimed: null, newest }[touched];
    const moved = source.filter(({ at }) => at === moving);
    if (moved.length > 0) newest += 1;
    for (const line of moved) line.at = newest;
    const range = rangeOf(how, cursor);
    const read = source.filter((line) => isRead(line, range));
    const landed = end === 'broken' ? read.slice(0, read.length / 2) : read;
    const execution = `e${index}`;
    await beginReadings(warehouse, execution, [{ table: 'items', range }]);
    await appendBronze(
      warehouse,
      'items',
      landed.map(({ at, name }) => ({ op: 'r', position: '1', execution, values: { at, name } })),
    );
    if (end === 'broken') continue;
    await completeReadings(warehouse, execution, [{ table: 'items', range }]);
    if (how === 'cursor') cursor = Math.max(cursor ?? 0, ...read.map(({ at }) => at ?? 0));
    if (end !== 'refined') continue;
    const result = await runSilver(warehouse, stream, { executionId: execution, now: NOW });
    expect(result).toMatchObject({ kind: 'completed' });
    const again = await runSilver(warehouse, stream, { executionId: execution, now: NOW });
    expect(again).toEqual(result);
  }
  const order = (at: number | null): number => at ?? Number.POSITIVE_INFINITY;
  expect(await rowsOf(warehouse, 'silver.items', ['at', 'name'], 't."at", t.name')).toEqual(
    source
      .toSorted((a, b) => order(a.at) - order(b.at) || (a.name < b.name ? -1 : 1))
      .map(({ at, name }) => [at === null ? null : String(at), name]),
  );
}

describeEachWarehouse('readings', (open) => {
  test('by ranges of a column, without a key: each row stands in silver as often as in the source', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(stepArbitrary, { maxLength: 6 }), async (between) => {
        await using opened = await open();
        await expectSame(opened.warehouse, [{ ...LAST, end: 'landed' }, ...between, LAST]);
      }),
      { numRuns: 5 },
    );
  });

  test('a reading of all that silver never took is over once a later one is taken', async () => {
    await using opened = await open();
    const step = (how: Step['how'], end: Step['end'], name: string): Step => ({
      ...LAST,
      how,
      end,
      added: [[1, name]],
    });
    await expectSame(opened.warehouse, [
      { ...LAST, how: 'whole', added: [], end: 'landed' },
      step('cursor', 'refined', 'a'),
      step('cursor', 'refined', 'b'),
      step('cursor', 'refined', 'c'),
    ]);
  });

  test('of values that must be unique: a row that is read again does not stand in its own way', async () => {
    await using opened = await open();
    const { warehouse } = opened;
    await createBronze(warehouse, 'items', { id: 'integer', name: 'text' });
    const stream = itemStream({
      key: [],
      load: 'append',
      rules: [{ rule: 'unique', columns: ['name'], action: 'filter' }],
    });
    const readings: readonly (readonly Row[])[] = [
      [
        [1, 'a'],
        [2, 'b'],
      ],
      [
        [2, 'b'],
        [3, 'c'],
        [4, 'a'],
      ],
    ];
    for (const [index, rows] of readings.entries()) {
      const execution = `e${index}`;
      const range = { column: 'id', from: String(index + 1), to: null, withNulls: false };
      await appendBronze(
        warehouse,
        'items',
        rows.map(([id, name]) => ({ op: 'r', position: '1', execution, values: { id, name } })),
      );
      await noteReading(warehouse, execution, range);
      await runSilver(warehouse, stream, { executionId: execution, now: NOW });
    }
    expect(await rowsOf(warehouse, 'silver.items', ['id', 'name'])).toEqual([
      ['1', 'a'],
      ['2', 'b'],
      ['3', 'c'],
    ]);
  });

  test.each([
    ['with a key', itemStream()],
    ['with a key of another type', itemStream({ columns: { id: 'text' } })],
    ['without a key', itemStream({ key: [], load: 'append' })],
  ] as const)('%s: silver is what was read last', async (_, stream) => {
    await fc.assert(
      fc.asyncProperty(readingsArbitrary, async (readings) => {
        await using opened = await open();
        const { warehouse } = opened;
        await createBronze(warehouse, 'items', { id: 'integer', name: 'text' });
        let position = 10;
        for (const [index, { rows: given, moved, refined }] of readings.entries()) {
          const rows = stream.key.length > 0 ? byKey(given) : given;
          if (moved) position += 1;
          const isLast = index === readings.length - 1;
          const one = { position: `${position}`, rows, stream };
          const result = await read(warehouse, `e${index}`, one, refined || isLast);
          if (result?.kind !== 'completed') continue;
          const found = await rowsOf(warehouse, 'silver.items', ['id', 'name']);
          expect(found.toSorted((a, b) => (String(a) < String(b) ? -1 : 1))).toEqual(texts(rows));
          expect(result.records + result.recordsFiltered + result.recordsDeduplicated).toBe(
            result.recordsIn,
          );
          expect(result.records).toBe(rows.length);
          // Done again, as after a crash, it changes nothing.
          const again = await runSilver(warehouse, stream, { executionId: `e${index}`, now: NOW });
          expect(again).toEqual(result);
          expect(await rowsOf(warehouse, 'silver.items', ['id', 'name'])).toEqual(found);
        }
      }),
      { numRuns: 4 },
    );
  });

  test('versions of rows that a reading has no more end', async () => {
    await using opened = await open();
    const { warehouse } = opened;
    await createBronze(warehouse, 'items', { id: 'integer', name: 'text' });
    const stream = itemStream({ load: 'history' });
    await read(warehouse, 'e1', {
      position: '1',
      rows: [
        [1, 'a'],
        [2, 'b'],
      ],
      stream,
    });
    await read(warehouse, 'e2', {
      position: '1',
      rows: [
        [2, 'b'],
        [3, 'c'],
      ],
      stream,
    });
    await read(warehouse, 'e3', {
      position: '2',
      rows: [
        [1, 'back'],
        [2, 'b'],
      ],
      stream,
    });
    expect(await rowsOf(warehouse, 'silver.items', ['id', 'name', '_forebay_is_current'])).toEqual([
      ['1', 'a', 'false'],
      ['1', 'back', 'true'],
      ['2', 'b', 'true'],
      ['3', 'c', 'false'],
    ]);
  });

  test('a rule of unique values looks at the reading alone', async () => {
    await using opened = await open();
    const { warehouse } = opened;
    await createBronze(warehouse, 'items', { id: 'integer', name: 'text' });
    const stream = itemStream({
      key: [],
      load: 'append',
      rules: [{ rule: 'unique', columns: ['id'], action: 'filter' }],
    });
    for (const execution of ['e1', 'e2']) {
      const one = {
        position: '1',
        rows: [
          [1, 'a'],
          [1, 'b'],
          [2, 'c'],
        ] as const,
        stream,
      };
      expect(await read(warehouse, execution, one)).toMatchObject({
        kind: 'completed',
        records: 2,
        recordsFiltered: 1,
      });
    }
    expect(await rowsOf(warehouse, 'silver.items', ['id'])).toEqual([['1'], ['2']]);
  });

  test('executions that read no whole table add to silver as before', async () => {
    await using opened = await open();
    const { warehouse } = opened;
    await createBronze(warehouse, 'items', { id: 'integer', name: 'text' });
    for (const execution of ['e1', 'e2']) {
      const row = { op: 'r', position: '1', execution, values: { id: 1, name: 'a' } } as const;
      await appendBronze(warehouse, 'items', [row]);
      const stream = itemStream({ key: [], load: 'append' });
      await runSilver(warehouse, stream, { executionId: execution, now: NOW });
    }
    expect(await rowsOf(warehouse, 'silver.items', ['id'])).toEqual([['1'], ['1']]);
  });
});
