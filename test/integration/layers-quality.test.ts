import { expect, test } from 'vitest';
import { failedRows } from '../../src/layers/quality.ts';
import { qualityRulesSchema } from '../../src/layers/quality-rules.ts';
import { runSilver } from '../../src/layers/silver.ts';
import type { SilverStream } from '../../src/layers/silver-plan.ts';
import type { Warehouse } from '../../src/layers/warehouse.ts';
import {
  appendBronze,
  createBronze,
  describeEachWarehouse,
  rowsOf,
} from '../support/warehouses.ts';

const orders = (rules: unknown, more: Partial<SilverStream> = {}): SilverStream => ({
  stream: 'shop.orders',
  bronze: 'orders',
  table: 'orders',
  key: ['id'],
  load: 'current',
  columns: {},
  rules: qualityRulesSchema.parse(rules),
  ...more,
});

async function fill(
  warehouse: Warehouse,
  rows: readonly Readonly<Record<string, string | number | null>>[],
  execution = 'e1',
): Promise<void> {
  await appendBronze(
    warehouse,
    'orders',
    rows.map((values, index) => ({
      position: `${execution}/${index}`,
      execution,
      at: index,
      values,
    })),
  );
}

const COLUMNS = {
  id: 'integer',
  email: 'text',
  amount: 'numeric(10,2)',
  state: 'text',
  customer: 'integer',
  day: 'text',
};

const good = { email: 'a@b.c', amount: 5, state: 'open', customer: 1, day: '2026-01-01' };

describeEachWarehouse('quality', (open) => {
  test('each rule counts what breaks it, and a row that breaks two is one invalid record', async () => {
    await using opened = await open();
    const { warehouse } = opened;
    await createBronze(warehouse, 'orders', COLUMNS);
    await warehouse.execute('CREATE SCHEMA silver');
    await warehouse.execute('CREATE TABLE silver.customers (id integer)');
    await warehouse.execute('INSERT INTO silver.customers VALUES (1)');
    await fill(warehouse, [
      { id: 1, ...good },
      { id: 2, ...good, email: null },
      { id: 3, ...good, email: 'nobody', amount: -1 },
      { id: 4, ...good, state: "clo'sed" },
      { id: 5, ...good, customer: 9 },
      { id: 6, ...good, day: '2026-02-30' },
      { id: 7, ...good, amount: 1000.01 },
      { id: 8, ...good, email: 'q@r.s', customer: null },
    ]);
    const result = await runSilver(
      warehouse,
      orders([
        { rule: 'not_null', columns: ['email'], action: 'filter' },
        { rule: 'regex', column: 'email', pattern: '^[^@]+@[^@]+$', action: 'filter' },
        { rule: 'range', column: 'amount', min: 0, max: 1000, action: 'filter' },
        { rule: 'accepted_values', column: 'state', values: ['open', "o'dd"], action: 'filter' },
        {
          rule: 'foreign_key',
          columns: ['customer'],
          references: { table: 'customers', columns: ['id'] },
          action: 'filter',
        },
        { rule: 'type', column: 'day', type: 'date', action: 'filter' },
        { rule: 'sql', expression: "amount < 3 or state = 'open' -- fine", name: 'policy' },
        { rule: 'unique', columns: ['email'] },
      ]),
      { executionId: 'e1', now: '2026-01-02T00:00:00Z' },
    );
    const counts = Object.fromEntries(
      result.metrics.map(({ metricType, count, rule }) => [
        rule === 'policy' ? 'policy' : metricType,
        count,
      ]),
    );
    expect(counts).toEqual({
      total_records: 8,
      valid_records: 2,
      missing_fields: 1,
      pattern_mismatches: 1,
      out_of_range: 2,
      unaccepted_values: 1,
      missing_references: 1,
      invalid_types: 1,
      policy: 1,
      duplicates: 0,
    });
    expect(result).toMatchObject({ kind: 'completed', records: 2, recordsFiltered: 6 });
    expect(await rowsOf(warehouse, 'silver.orders', ['id'])).toEqual([['1'], ['8']]);
    const failed = await failedRows(warehouse, { table: 'orders', rule: 'range:amount', limit: 1 });
    expect(failed).toMatchObject([
      { id: '3', amount: '-1.00', _forebay_action: 'filter', _forebay_execution_id: 'e1' },
    ]);
    const ofAny = await failedRows(warehouse, { table: 'orders', rule: null, limit: 100 });
    expect(ofAny.filter(({ id }) => id === '3').map((row) => row['_forebay_rule'])).toEqual(
      expect.arrayContaining(['range:amount', 'regex:email']),
    );
  });

  test('a rule that fails stops before silver changes; the counts and a sample stay', async () => {
    await using opened = await open();
    const { warehouse } = opened;
    await createBronze(warehouse, 'orders', COLUMNS);
    const stream = orders([{ rule: 'range', column: 'amount', min: 0, action: 'fail' }]);
    await fill(warehouse, [{ id: 1, ...good }]);
    await runSilver(warehouse, stream, { executionId: 'e1', now: '2026-01-02T00:00:00Z' });
    await fill(
      warehouse,
      [
        { id: 2, ...good, amount: -1 },
        { id: 3, ...good },
      ],
      'e2',
    );
    const again = { executionId: 'e2', now: '2026-01-03T00:00:00Z' };
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const result = await runSilver(warehouse, stream, again);
      expect(result).toMatchObject({ kind: 'failed', error: { code: 'quality_failed' } });
      expect(result.metrics).toContainEqual({
        stream: 'shop.orders',
        rule: 'range:amount',
        metricType: 'out_of_range',
        count: 1,
        severity: 'fail',
      });
      expect(result.kind === 'failed' && result.error.message).not.toContain('-1');
    }
    expect(await rowsOf(warehouse, 'silver.orders', ['id'])).toEqual([['1']]);
    const sample = { table: 'orders', rule: 'range:amount', limit: 10 };
    expect((await failedRows(warehouse, sample)).map((row) => row['id'])).toEqual(['2']);
    // The rule is changed: the same rows are taken now.
    const lenient = orders([{ rule: 'range', column: 'amount', min: 0 }]);
    expect(await runSilver(warehouse, lenient, again)).toMatchObject({ records: 2 });
  });

  test('values that must be unique: against each other, against silver, and freed by a change', async () => {
    await using opened = await open();
    const { warehouse } = opened;
    await createBronze(warehouse, 'orders', COLUMNS);
    const stream = orders([{ rule: 'unique', columns: ['email'], action: 'filter' }]);
    await fill(warehouse, [
      { id: 1, ...good, email: 'a' },
      { id: 2, ...good, email: 'b' },
      { id: 3, ...good, email: 'b' },
      { id: 4, ...good, email: null },
      { id: 5, ...good, email: null },
    ]);
    const first = await runSilver(warehouse, stream, {
      executionId: 'e1',
      now: '2026-01-02T00:00:00Z',
    });
    expect(first).toMatchObject({ records: 4, recordsFiltered: 1 });
    // 1 gives its value to 6 in the same run; 7 wants one that 2 keeps.
    await fill(
      warehouse,
      [
        { id: 1, ...good, email: 'z' },
        { id: 6, ...good, email: 'a' },
        { id: 7, ...good, email: 'b' },
      ],
      'e2',
    );
    await runSilver(warehouse, stream, { executionId: 'e2', now: '2026-01-02T00:00:00Z' });
    expect(await rowsOf(warehouse, 'silver.orders', ['id', 'email'])).toEqual([
      ['1', 'z'],
      ['2', 'b'],
      ['4', null],
      ['5', null],
      ['6', 'a'],
    ]);
  });

  test('a reading that gives a key twice has a duplicate; the last one is kept', async () => {
    await using opened = await open();
    const { warehouse } = opened;
    await createBronze(warehouse, 'orders', { id: 'integer', email: 'text' });
    await appendBronze(warehouse, 'orders', [
      { op: 'r', position: 'p', execution: 'e1', values: { id: 1, email: 'a' } },
      { op: 'r', position: 'p', execution: 'e1', values: { id: 1, email: 'b' } },
    ]);
    const stream = orders([{ rule: 'unique', columns: ['id'], action: 'filter' }]);
    const result = await runSilver(warehouse, stream, {
      executionId: 'e1',
      now: '2026-01-02T00:00:00Z',
    });
    expect(result).toMatchObject({ records: 1, recordsFiltered: 1, recordsDeduplicated: 0 });
    expect(await rowsOf(warehouse, 'silver.orders', ['id', 'email'])).toEqual([['1', 'b']]);
  });

  test('freshness and drift of the number of rows', async () => {
    await using opened = await open();
    const { warehouse } = opened;
    await createBronze(warehouse, 'orders', COLUMNS);
    const stream = orders([
      { rule: 'freshness', max_age: '1h' },
      { rule: 'freshness', column: 'day', max_age: '2d' },
      { rule: 'row_count_drift', max_percent: 50 },
    ]);
    const found = async (executionId: string, now: string): Promise<(number | undefined)[]> => {
      const { metrics } = await runSilver(warehouse, stream, { executionId, now });
      return ['freshness', 'freshness:day', 'row_count_drift'].map(
        (name) => metrics.find(({ rule }) => rule === name)?.count,
      );
    };
    await fill(warehouse, [
      { id: 1, ...good },
      { id: 2, ...good },
    ]);
    expect(await found('e1', '2026-01-01T00:30:00Z')).toEqual([0, 0, 0]);
    await fill(
      warehouse,
      [
        { id: 3, ...good },
        { id: 4, ...good },
        { id: 5, ...good },
      ],
      'e2',
    );
    expect(await found('e2', '2026-01-02T00:00:00Z')).toEqual([1, 0, 0]);
    await fill(
      warehouse,
      [1, 2, 3, 4, 5].map((id) => ({ id, ...good })),
      'e3',
    );
    expect(await found('e3', '2026-01-04T00:00:00Z')).toEqual([1, 1, 1]);
  });

  test('an expression that is wrong names the cause, and nothing changes', async () => {
    await using opened = await open();
    const { warehouse } = opened;
    await createBronze(warehouse, 'orders', COLUMNS);
    await fill(warehouse, [{ id: 1, ...good }]);
    const stream = orders([{ rule: 'sql', expression: 'no_such_column > 1' }]);
    await expect(
      runSilver(warehouse, stream, { executionId: 'e1', now: '2026-01-02T00:00:00Z' }),
    ).rejects.toMatchObject({ code: 'column_missing' });
    expect(await rowsOf(warehouse, 'silver.orders', ['id'])).toEqual([]);
  });
});
