import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type GoldResult, type ModelResult, runGold } from '../../src/layers/gold.ts';
import { parseModels } from '../../src/layers/model-file.ts';
import { runSilver } from '../../src/layers/silver.ts';
import type { SilverStream } from '../../src/layers/silver-plan.ts';
import type { Warehouse } from '../../src/layers/warehouse.ts';
import {
  appendBronze,
  type BronzeRow,
  createBronze,
  describeEachWarehouse,
  rowsOf,
} from '../support/warehouses.ts';

const orders: SilverStream = {
  stream: 'shop.orders',
  bronze: 'orders',
  table: 'orders',
  key: ['id'],
  load: 'current',
  columns: {},
  rules: [],
};

let executions = 0;

/** Rows of bronze of one execution, and silver after it. */
async function load(
  warehouse: Warehouse,
  rows: readonly Pick<BronzeRow, 'op' | 'values'>[],
): Promise<void> {
  executions += 1;
  const executionId = `e${String(executions).padStart(6, '0')}`;
  await appendBronze(
    warehouse,
    'orders',
    rows.map((row, index) => ({
      ...row,
      position: `${executionId}/${String(index).padStart(4, '0')}`,
      execution: executionId,
    })),
  );
  await runSilver(warehouse, orders, { executionId, now: '2026-01-02T00:00:00Z' });
}

type Files = Readonly<Record<string, readonly [matter: string, sql: string]>>;

function build(warehouse: Warehouse, files: Files): Promise<GoldResult> {
  const sources = Object.entries(files).map(([name, [matter, sql]]) => ({
    file: `models/${name}.sql`,
    text: `---\nname: ${name}\n${matter}\n---\n${sql}\n`,
  }));
  return runGold(warehouse, parseModels(sources), {
    signal: new AbortController().signal,
    now: () => 0,
  });
}

async function shop(warehouse: Warehouse): Promise<void> {
  await createBronze(warehouse, 'orders', {
    id: 'integer',
    customer: 'integer',
    amount: 'integer',
  });
  await load(warehouse, [
    { values: { id: 1, customer: 1, amount: 10 } },
    { values: { id: 2, customer: 1, amount: 5 } },
    { values: { id: 3, customer: 2, amount: 7 } },
  ]);
}

const statuses = (result: GoldResult): string[] =>
  result.models.map(({ name, status, build: how }: ModelResult) => `${name} ${how ?? status}`);

const TOTALS = 'SELECT customer, sum(amount) AS total FROM orders GROUP BY customer';

describeEachWarehouse('gold', (open) => {
  test('tables and views are built in order, and built again over each other', async () => {
    await using opened = await open();
    const { warehouse } = opened;
    await shop(warehouse);
    const files: Files = {
      best: ['materialization: view', 'SELECT max(total) AS best FROM gold.per_customer'],
      per_customer: ['description: sums', TOTALS],
      of_best: ['', 'SELECT * FROM best, per_customer WHERE total = best'],
    };
    for (let round = 0; round < 2; round += 1) {
      const result = await build(warehouse, files);
      expect(statuses(result)).toEqual(['per_customer table', 'best view', 'of_best table']);
      expect(result.tablesUpdated).toEqual(['per_customer', 'of_best']);
      expect(result.models[0]).toMatchObject({ rows: 2, error: null });
    }
    expect(await rowsOf(warehouse, 'gold.of_best', ['customer', 'best'])).toEqual([['1', '15']]);
    // A view becomes a table, a table a view, and columns change under a view.
    const changed: Files = {
      best: ['', 'SELECT max(total) AS best FROM per_customer'],
      per_customer: ['materialization: view', `${TOTALS} -- the same`],
      of_best: ['', 'SELECT customer AS "Who" FROM best, per_customer WHERE total = best'],
    };
    expect(statuses(await build(warehouse, changed))).toEqual([
      'per_customer view',
      'best table',
      'of_best table',
    ]);
    expect(await rowsOf(warehouse, 'gold.of_best', ['Who'])).toEqual([['1']]);
  });

  test('a model that fails keeps its table and stops only what reads it', async () => {
    await using opened = await open();
    const { warehouse } = opened;
    await shop(warehouse);
    const files: Files = {
      a: ['', 'SELECT id FROM orders'],
      b: ['', 'SELECT id FROM a'],
      c: ['materialization: view', 'SELECT id FROM b'],
      d: ['', 'SELECT count(*) AS n FROM orders'],
    };
    await build(warehouse, files);
    const result = await build(warehouse, { ...files, a: ['', 'SELECT nothing_here FROM orders'] });
    expect(statuses(result)).toEqual(['a failed', 'b skipped', 'c skipped', 'd table']);
    expect(result.tablesUpdated).toEqual(['d']);
    expect(result.models[0]?.error).toMatchObject({ code: 'model_failed' });
    expect(result.models[0]?.error?.message).toContain('nothing_here');
    expect(result.models[1]?.because).toEqual(['a']);
    expect(await rowsOf(warehouse, 'gold.c', ['id'])).toEqual([['1'], ['2'], ['3']]);
  });

  test('tests of a model are counted, and one that fails leaves the table as it was', async () => {
    await using opened = await open();
    const { warehouse } = opened;
    await shop(warehouse);
    const tests = `tests:
  - {test: not_null, columns: [customer, amount]}
  - {test: unique, columns: [customer], action: warn}
  - {test: accepted_values, column: customer, values: [1, 2]}
  - {test: relationships, columns: [id], references: {table: orders, columns: [id]}}
  - {test: sql, sql: "SELECT * FROM m WHERE amount > 100", name: small}`;
    const files: Files = { m: [tests, 'SELECT * FROM orders'] };
    const [fine] = (await build(warehouse, files)).models;
    expect(fine).toMatchObject({ status: 'completed', rows: 3 });
    expect(fine?.tests.map(({ name, failures }) => `${name} ${failures}`)).toEqual([
      'not_null:customer,amount 0',
      'unique:customer 1',
      'accepted_values:customer 0',
      'relationships:id 0',
      'small 0',
    ]);
    await load(warehouse, [{ values: { id: 4, customer: 9, amount: 101 } }]);
    const [failed] = (await build(warehouse, files)).models;
    expect(failed).toMatchObject({ status: 'failed', error: { code: 'model_failed' } });
    expect(failed?.error?.message).toContain('accepted_values:customer (1), small (1)');
    expect(await rowsOf(warehouse, 'gold.m', ['id'])).toEqual([['1'], ['2'], ['3']]);
  });

  test('an incremental model writes the keys that changed, and nothing where nothing did', async () => {
    await using opened = await open();
    const { warehouse } = opened;
    await shop(warehouse);
    const matter = 'materialization: incremental\nkeys: [customer]';
    const files: Files = { totals: [matter, TOTALS] };
    const built = async (given = files) => {
      const [model] = (await build(warehouse, given)).models;
      return [model?.build, model?.rows];
    };
    expect(await built()).toEqual(['table', 2]);
    expect(await built()).toEqual(['unchanged', 0]);
    // An order passes from one customer to another: both are concerned.
    await load(warehouse, [{ op: 'u', values: { id: 2, customer: 2, amount: 5 } }]);
    await load(warehouse, [{ values: { id: 4, customer: null, amount: 1 } }]);
    expect(await built()).toEqual(['incremental', 3]);
    expect(await rowsOf(warehouse, 'gold.totals', ['customer', 'total'], 'total')).toEqual([
      [null, '1'],
      ['1', '10'],
      ['2', '12'],
    ]);
    await load(warehouse, [{ op: 'd', values: { id: 1 } }]);
    expect(await built()).toEqual(['incremental', 0]);
    const edited: Files = { totals: [matter, TOTALS.replace('sum(amount)', 'max(amount)')] };
    expect(await built(edited)).toEqual(['table', 2]);
    await warehouse.execute('DROP TABLE gold.totals');
    expect(await built(edited)).toEqual(['table', 2]);
  });

  test('an incremental table is what the whole query gives, whatever happened', async () => {
    await using opened = await open();
    const { warehouse } = opened;
    await shop(warehouse);
    const matter = 'materialization: incremental\nkeys: [customer]';
    const small = fc.integer({ min: 1, max: 4 });
    const change = fc.record({
      op: fc.constantFrom<'i' | 'u' | 'd'>('i', 'u', 'd'),
      values: fc.record({ id: small, customer: fc.option(small, { freq: 5 }), amount: small }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 6 }), async (changes) => {
        await load(warehouse, changes);
        await build(warehouse, { totals: [matter, TOTALS] });
        const columns = ['customer', 'total'];
        expect(await rowsOf(warehouse, 'gold.totals', columns)).toEqual(
          await rowsOf(warehouse, `(${TOTALS.replace('orders', 'silver.orders')})`, columns),
        );
      }),
      { numRuns: 15, endOnFailure: true },
    );
  });
});
