import fc from 'fast-check';
import { expect, test } from 'vitest';
import { runSilver, type SilverRun } from '../../src/layers/silver.ts';
import type { SilverStream } from '../../src/layers/silver-plan.ts';
import type { Warehouse } from '../../src/layers/warehouse.ts';
import {
  appendBronze,
  type BronzeRow,
  createBronze,
  describeEachWarehouse,
  itemStream,
  rowsOf,
} from '../support/warehouses.ts';

const run = (executionId: string): SilverRun => ({ executionId, now: '2026-01-02T00:00:00.000Z' });

const at = (n: number): string => String(n).padStart(6, '0');

async function silver(warehouse: Warehouse): Promise<(string | null)[][]> {
  return rowsOf(warehouse, 'silver.items', ['id', 'name']);
}

interface Event {
  readonly op: 'i' | 'u' | 'd' | 't' | 'r';
  readonly id: number;
  readonly name: string | null;
}

const eventArbitrary: fc.Arbitrary<Event> = fc.record({
  op: fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom<Event['op']>('i', 'u', 'r', 'd') },
    { weight: 1, arbitrary: fc.constant<Event['op']>('t') },
  ),
  id: fc.integer({ min: 1, max: 5 }),
  name: fc.option(fc.constantFrom('a', 'b', 'ä', 'Z', "o'"), { freq: 6 }),
});

/** Each step is an execution: new events, and how many events of before come again (never the last of a key). */
const historyArbitrary = fc.array(
  fc.record({
    events: fc.array(eventArbitrary, { maxLength: 8 }),
    repeats: fc.array(fc.nat(), { maxLength: 4 }),
  }),
  { minLength: 1, maxLength: 5 },
);

interface Step {
  readonly rows: BronzeRow[];
  readonly state: ReadonlyMap<number, string | null>;
}

const NAMED: SilverStream['rules'] = [{ rule: 'not_null', columns: ['name'], action: 'filter' }];

const MODES: readonly (readonly [SilverStream['load'], string, SilverStream['rules']])[] = [
  ['current', 'current', []],
  ['history', 'history', []],
  ['current', 'filtered', NAMED],
];

/** `named`: events without a name count for nothing. */
function play(
  history: readonly { events: readonly Event[]; repeats: readonly number[] }[],
  named: boolean,
): Step[] {
  const state = new Map<number, string | null>();
  const all: BronzeRow[] = [];
  let position = 0;
  return history.map(({ events, repeats }, index) => {
    const execution = `e${index}`;
    const again = repeats.flatMap((pick) => all[pick % Math.max(1, all.length)] ?? []);
    const rows = events.map((event): BronzeRow => {
      position += 1;
      if (event.op === 't') state.clear();
      else if (event.op === 'd') state.delete(event.id);
      else if (event.name !== null || !named) state.set(event.id, event.name);
      const values =
        event.op === 't' ? {} : { id: event.id, name: event.op === 'd' ? null : event.name };
      return { op: event.op, position: at(position), execution, at: position, values };
    });
    all.push(...rows);
    const repeated = again.map((row): BronzeRow => ({ ...row, execution }));
    return { rows: [...repeated, ...rows], state: new Map(state) };
  });
}

const expected = (state: ReadonlyMap<number, string | null>): (string | null)[][] =>
  [...state].toSorted(([a], [b]) => a - b).map(([id, name]) => [String(id), name]);

describeEachWarehouse('silver', (open) => {
  test('rows of a random history end in their last state, whatever the executions', async () => {
    await using opened = await open();
    const { warehouse } = opened;
    await warehouse.execute('CREATE SCHEMA bronze');
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(historyArbitrary, async (history) => {
        runs += 1;
        const name = `items_${runs}`;
        const bronze = { id: 'integer', name: 'text' };
        await createBronze(warehouse, name, bronze);
        for (const [load, table, rules] of MODES) {
          await warehouse.execute(`DELETE FROM bronze.${name}`);
          const stream = itemStream({ bronze: name, table: `${name}_${table}`, load, rules });
          for (const [index, { rows, state }] of play(history, rules.length > 0).entries()) {
            await appendBronze(warehouse, name, rows);
            const result = await runSilver(warehouse, stream, run(`e${index}`));
            const current = load === 'history' ? ' WHERE _forebay_is_current' : '';
            const now = `(SELECT * FROM silver.${stream.table}${current})`;
            expect(await rowsOf(warehouse, now, ['id', 'name'], 'id')).toEqual(expected(state));
            expect(result).toMatchObject({ kind: 'completed', recordsIn: rows.length });
            expect(await runSilver(warehouse, stream, run(`e${index}`))).toEqual(result);
          }
        }
      }),
      { numRuns: 12 },
    );
  });

  test('no repeated keys: what bronze holds is what silver took and what was filtered', async () => {
    await using opened = await open();
    const { warehouse } = opened;
    await createBronze(warehouse, 'items', { id: 'integer', name: 'text' });
    await appendBronze(warehouse, 'items', [
      { op: 'r', position: at(0), execution: 'e1', values: { id: 1, name: 'a' } },
      { op: 'r', position: at(0), execution: 'e1', values: { id: 2, name: null } },
      { op: 'r', position: at(0), execution: 'e1', values: { id: null, name: 'c' } },
    ]);
    const rules = [{ rule: 'not_null' as const, columns: ['name'], action: 'filter' as const }];
    const result = await runSilver(warehouse, itemStream({ rules }), run('e1'));
    expect(result).toMatchObject({
      recordsIn: 3,
      records: 1,
      recordsFiltered: 2,
      recordsDeduplicated: 0,
    });
    expect(await silver(warehouse)).toEqual([['1', 'a']]);
  });

  test('a large value that an update did not send is the one of before', async () => {
    await using opened = await open();
    const { warehouse } = opened;
    await createBronze(warehouse, 'items', { id: 'integer', name: 'text', big: 'text' });
    const columns = ['id', 'name', 'big'];
    await appendBronze(warehouse, 'items', [
      { position: at(1), execution: 'e1', values: { id: 1, name: 'a', big: 'B' } },
      { position: at(2), execution: 'e1', values: { id: 2, name: 'x', big: null } },
    ]);
    await runSilver(warehouse, itemStream(), run('e1'));
    await appendBronze(warehouse, 'items', [
      { op: 'u', position: at(3), execution: 'e2', unchanged: 'big', values: { id: 1, name: 'b' } },
      { op: 'u', position: at(4), execution: 'e2', unchanged: 'name,big', values: { id: 1 } },
      { op: 'u', position: at(5), execution: 'e2', unchanged: 'big', values: { id: 2, name: 'y' } },
    ]);
    const result = await runSilver(warehouse, itemStream(), run('e2'));
    expect(await rowsOf(warehouse, 'silver.items', columns)).toEqual([
      ['1', 'b', 'B'],
      ['2', 'y', null],
    ]);
    expect(result).toMatchObject({ records: 2, recordsDeduplicated: 1 });
  });

  test('versions tell from when to when they were current', async () => {
    await using opened = await open();
    const { warehouse } = opened;
    await createBronze(warehouse, 'items', { id: 'integer', name: 'text' });
    const stream = itemStream({ load: 'history' });
    await appendBronze(warehouse, 'items', [
      { position: at(1), at: 1, execution: 'e1', values: { id: 1, name: 'a' } },
      { op: 'u', position: at(2), at: 2, execution: 'e1', values: { id: 1, name: 'b' } },
      { position: at(3), at: 3, execution: 'e1', values: { id: 2, name: 'x' } },
    ]);
    await runSilver(warehouse, stream, run('e1'));
    await appendBronze(warehouse, 'items', [
      { op: 'r', position: at(4), at: 4, execution: 'e2', values: { id: 1, name: 'b' } },
      { op: 'd', position: at(5), at: 5, execution: 'e2', values: { id: 1 } },
      { op: 't', position: at(6), at: 6, execution: 'e2', values: {} },
      { position: at(7), at: 7, execution: 'e2', values: { id: 1, name: 'c' } },
    ]);
    const result = await runSilver(warehouse, stream, run('e2'));
    const seconds = (column: string): string =>
      `CAST(CAST(extract(epoch FROM ${column}) AS bigint) - 1767225600 AS text)`;
    const rows = await warehouse.query(
      `SELECT CAST(id AS text) AS id, name, ${seconds('_forebay_valid_from')} AS since,
         ${seconds('_forebay_valid_to')} AS until, CAST(_forebay_is_current AS text) AS current
       FROM silver.items ORDER BY _forebay_position`,
    );
    expect(rows.map((row) => Object.values(row))).toEqual([
      ['1', 'a', '1', '2', 'false'],
      ['1', 'b', '2', '5', 'false'],
      ['2', 'x', '3', '6', 'false'],
      ['1', 'c', '7', null, 'true'],
    ]);
    expect(result).toMatchObject({ recordsIn: 4, records: 3, recordsDeduplicated: 1 });
  });

  test('types are those that are declared, and follow bronze; values that do not read as such are kept aside', async () => {
    await using opened = await open();
    const { warehouse } = opened;
    await createBronze(warehouse, 'items', { id: 'text', name: 'text', 'pri"ce': 'text' });
    const stream = itemStream({ columns: { id: 'int64', 'pri"ce': 'decimal(10,2)' } });
    await appendBronze(warehouse, 'items', [
      { position: at(1), execution: 'e1', values: { id: '1', name: 'a', 'pri"ce': '12.50' } },
      { position: at(2), execution: 'e1', values: { id: '2', name: 'b', 'pri"ce': 'twelve' } },
      { position: at(3), execution: 'e1', values: { id: '3', name: 'c', 'pri"ce': null } },
    ]);
    const result = await runSilver(warehouse, stream, run('e1'));
    expect(await rowsOf(warehouse, 'silver.items', ['id', 'pri"ce'])).toEqual([
      ['1', '12.50'],
      ['3', null],
    ]);
    expect(result).toMatchObject({ records: 2, recordsFiltered: 1 });
    await warehouse.execute('ALTER TABLE bronze.items ADD COLUMN extra integer');
    await appendBronze(warehouse, 'items', [
      {
        op: 'u',
        position: at(4),
        execution: 'e2',
        values: { id: '1', name: 'a', 'pri"ce': '9.99', extra: 7 },
      },
    ]);
    await runSilver(
      warehouse,
      { ...stream, columns: { ...stream.columns, id: 'int32' } },
      run('e2'),
    );
    expect(await rowsOf(warehouse, 'silver.items', ['id', 'pri"ce', 'extra'])).toEqual([
      ['1', '9.99', '7'],
      ['3', null, null],
    ]);
  });

  test('an execution that silver missed is taken with the next one', async () => {
    await using opened = await open();
    const { warehouse } = opened;
    await createBronze(warehouse, 'items', { id: 'integer', name: 'text' });
    await appendBronze(warehouse, 'items', [
      { position: at(1), execution: 'e1', values: { id: 1, name: 'a' } },
      { position: at(2), execution: 'e2', values: { id: 2, name: 'b' } },
    ]);
    expect(await runSilver(warehouse, itemStream(), run('e2'))).toMatchObject({ recordsIn: 2 });
    // More rows of the same execution: one result for both rounds.
    await appendBronze(warehouse, 'items', [
      { op: 'd', position: at(3), execution: 'e2', values: { id: 1 } },
    ]);
    expect(await runSilver(warehouse, itemStream(), run('e2'))).toMatchObject({
      recordsIn: 3,
      records: 3,
    });
    expect(await silver(warehouse)).toEqual([['2', 'b']]);
  });

  test('a stream without a key is appended, and its updates are refused', async () => {
    await using opened = await open();
    const { warehouse } = opened;
    await createBronze(warehouse, 'items', { id: 'integer', name: 'text' });
    const stream = itemStream({ key: [], load: 'append' });
    await appendBronze(warehouse, 'items', [
      { op: 'r', position: at(1), execution: 'e1', values: { id: 1, name: 'a' } },
      { op: 'r', position: at(1), execution: 'e1', values: { id: 1, name: 'a' } },
    ]);
    await runSilver(warehouse, stream, run('e1'));
    expect(await silver(warehouse)).toEqual([
      ['1', 'a'],
      ['1', 'a'],
    ]);
    await appendBronze(warehouse, 'items', [
      { op: 'u', position: at(2), execution: 'e2', values: { id: 1, name: 'b' } },
    ]);
    await expect(runSilver(warehouse, stream, run('e2'))).rejects.toMatchObject({ code: 'no_key' });
    await expect(runSilver(warehouse, itemStream({ key: [] }), run('e2'))).rejects.toMatchObject({
      code: 'no_key',
    });
    await expect(
      runSilver(warehouse, itemStream({ bronze: 'nothing' }), run('e2')),
    ).rejects.toMatchObject({ code: 'table_missing' });
  });

  test('names of any kind, structured values, and readings that nothing else tells apart', async () => {
    await using opened = await open();
    const { warehouse } = opened;
    const name = 'My "items" ä';
    await createBronze(warehouse, name, {
      'Ke"y': 'text',
      select: 'json',
      '_n o': 'integer[]',
      "it's": 'timestamp with time zone',
    });
    const row = (json: string, position: string, execution: string): BronzeRow => ({
      op: 'r',
      position,
      execution,
      values: { 'Ke"y': 'k', select: json, '_n o': null, "it's": '2026-01-01T00:00:00Z' },
    });
    await appendBronze(warehouse, name, [row('{"a": 1}', 'p', 'e1'), row('{"a": 2}', 'p', 'e1')]);
    await warehouse.execute(
      `UPDATE bronze."My ""items"" ä" SET _forebay_loaded_at = '2026-01-01T00:00:00Z', "_n o" = ARRAY[1, 2]`,
    );
    for (const load of ['current', 'history'] as const) {
      const table = `${name} ${load}`;
      const stream = itemStream({ bronze: name, table, key: ['Ke"y'], load });
      await runSilver(warehouse, stream, run('e1'));
      const current = load === 'history' ? ' WHERE _forebay_is_current' : '';
      const found = await rowsOf(
        warehouse,
        `(SELECT * FROM silver."My ""items"" ä ${load}"${current})`,
        ['select'],
        '1',
      );
      expect(found).toEqual([['{"a": 2}']]);
    }
  });
});
