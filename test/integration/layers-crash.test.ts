import { expect, test } from 'vitest';
import { ForebayError } from '../../src/core/errors.ts';
import { runSilver } from '../../src/layers/silver.ts';
import type { SilverStream } from '../../src/layers/silver-plan.ts';
import type { Warehouse } from '../../src/layers/warehouse.ts';
import {
  appendBronze,
  createBronze,
  describeEachWarehouse,
  rowsOf,
} from '../support/warehouses.ts';

/** Fails at the n-th statement that changes something. */
function failingAt(warehouse: Warehouse, n: number): Warehouse {
  let statements = 0;
  return {
    ...warehouse,
    execute: (sql, parameters) => {
      statements += 1;
      if (statements === n) throw new ForebayError('failpoint', { message: 'stopped' });
      return warehouse.execute(sql, parameters);
    },
  };
}

const stream: SilverStream = {
  stream: 'shop.items',
  bronze: 'items',
  table: 'items',
  key: ['id'],
  load: 'history',
  columns: { id: 'int64' },
  rules: [{ rule: 'not_null', columns: ['name'], action: 'filter' }],
};

describeEachWarehouse('a silver run that was stopped', (open) => {
  test('is done as if it had not been, wherever that was', async () => {
    await using opened = await open();
    const { warehouse } = opened;
    await createBronze(warehouse, 'items', { id: 'text', name: 'text' });
    const first = { executionId: 'e1', now: '2026-01-02T00:00:00Z' };
    const second = { executionId: 'e2', now: '2026-01-03T00:00:00Z' };
    await appendBronze(warehouse, 'items', [
      { position: 'a1', at: 1, execution: 'e1', values: { id: '1', name: 'a' } },
      { position: 'a2', at: 2, execution: 'e1', values: { id: '2', name: null } },
    ]);
    await runSilver(warehouse, stream, first);
    await appendBronze(warehouse, 'items', [
      { op: 'u', position: 'b1', at: 3, execution: 'e2', values: { id: '1', name: 'b' } },
      { op: 'i', position: 'b2', at: 4, execution: 'e2', values: { id: 'x', name: 'c' } },
      { op: 'i', position: 'b3', at: 5, execution: 'e2', values: { id: '3', name: 'c' } },
    ]);
    let stops = 0;
    for (let n = 1; ; n += 1) {
      try {
        await runSilver(failingAt(warehouse, n), stream, second);
        break;
      } catch (error) {
        expect(error).toMatchObject({ code: 'failpoint' });
        stops += 1;
      }
    }
    expect(stops).toBeGreaterThan(10);
    expect(await runSilver(warehouse, stream, second)).toMatchObject({
      recordsIn: 3,
      records: 2,
      recordsFiltered: 1,
      recordsDeduplicated: 0,
    });
    expect(await rowsOf(warehouse, 'silver.items', ['id', 'name', '_forebay_is_current'])).toEqual([
      ['1', 'a', 'false'],
      ['1', 'b', 'true'],
      ['3', 'c', 'true'],
    ]);
    const kept = await rowsOf(warehouse, 'silver_quarantine.items', ['id', '_forebay_rule']);
    expect(kept).toEqual([
      ['2', 'not_null:name'],
      ['x', 'declared_type:id'],
    ]);
  });
});
