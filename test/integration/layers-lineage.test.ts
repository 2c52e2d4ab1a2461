import { expect, test } from 'vitest';
import { runGold } from '../../src/layers/gold.ts';
import {
  bronzeLineage,
  duckdbParser,
  goldLineage,
  silverLineage,
} from '../../src/layers/lineage.ts';
import { parseModels } from '../../src/layers/model-file.ts';
import { planModels } from '../../src/layers/model-graph.ts';
import { planSilver } from '../../src/layers/silver-plan.ts';
import { createBronze, describeEachWarehouse, openMemoryDuckdb } from '../support/warehouses.ts';

const QUERIES: Readonly<Record<string, readonly [sql: string, lineage: readonly string[]]>> = {
  plain: [
    'SELECT o.id AS order_id, price * qty AS total, 1 AS one FROM orders o',
    ['order_id<silver.orders.id', 'total<silver.orders.price', 'total<silver.orders.qty'],
  ],
  joined: [
    `SELECT c.name, sum(o.price) AS spent FROM orders o JOIN silver.customers c ON c.id = o.customer
     WHERE o.qty > 0 GROUP BY c.name`,
    ['name<silver.customers.name', 'spent<silver.orders.price'],
  ],
  hidden: [
    `WITH orders(a, b) AS (SELECT customer, price FROM orders), x AS (SELECT a, max(b) AS m FROM orders GROUP BY a)
     SELECT x.*, CASE WHEN a > 1 THEN m END AS big FROM x`,
    [
      'a<silver.orders.customer',
      'big<silver.orders.customer',
      'big<silver.orders.price',
      'm<silver.orders.price',
    ],
  ],
  both: [
    `SELECT id, name FROM silver.customers UNION ALL SELECT qty, (SELECT min(name) FROM customers) FROM orders`,
    ['id<silver.customers.id', 'id<silver.orders.qty', 'name<silver.customers.name'],
  ],
  shared: [
    'SELECT * FROM (SELECT customer AS id, price FROM orders) x JOIN customers USING (id)',
    [
      'id<silver.customers.id',
      'id<silver.orders.customer',
      'name<silver.customers.name',
      'price<silver.orders.price',
    ],
  ],
  windowed: [
    'SELECT row_number() OVER (PARTITION BY customer ORDER BY price) AS place FROM orders',
    ['place<silver.orders.customer', 'place<silver.orders.price'],
  ],
  reading: ['SELECT total + 1 AS more FROM plain', ['more<gold.plain.total']],
  climbing: [
    `WITH RECURSIVE r(n, k) AS (SELECT id, 0 FROM orders UNION ALL SELECT n + 1, k + n FROM r WHERE k < 1)
     SELECT n, k FROM r`,
    ['k<silver.orders.id', 'n<silver.orders.id'],
  ],
  lost: ['SELECT g FROM generate_series(1, 2) AS t(g), orders', ['*<silver.orders.*']],
};

describeEachWarehouse('lineage', (open) => {
  test('columns are followed from the source to gold', async () => {
    await using opened = await open();
    await using parser = await openMemoryDuckdb();
    const { warehouse } = opened;
    await warehouse.execute('CREATE SCHEMA silver');
    await warehouse.execute(
      'CREATE TABLE silver.orders (id int, customer int, price int, qty int)',
    );
    await warehouse.execute('CREATE TABLE silver.customers (id int, name text)');
    const models = parseModels(
      Object.entries(QUERIES).map(([name, [sql]]) => ({
        file: `models/${name}.sql`,
        text: `---\nname: ${name}\n---\n${sql}\n`,
      })),
    );
    const signal = new AbortController().signal;
    const result = await runGold(warehouse, models, { signal, now: () => 0 });
    expect(result.models.filter(({ status }) => status !== 'completed')).toEqual([]);
    for (const planned of planModels(models, new Set(['orders', 'customers']))) {
      const found = await goldLineage(warehouse, planned, duckdbParser(parser.warehouse));
      const lines = found.map(
        ({ columnName, sourceTable, sourceColumn }) =>
          `${columnName}<${sourceTable}.${sourceColumn}`,
      );
      expect([planned.model.name, lines.toSorted()]).toEqual([
        planned.model.name,
        QUERIES[planned.model.name]?.[1],
      ]);
      const tables = await goldLineage(warehouse, planned, null);
      expect(tables.every(({ columnName }) => columnName === '*')).toBe(true);
    }
  });

  test('silver is bronze, and bronze the source, column by column', async () => {
    await using opened = await open();
    await createBronze(opened.warehouse, 'orders', { id: 'integer' });
    const plan = await planSilver(opened.warehouse, {
      stream: 'shop.orders',
      bronze: 'orders',
      table: 'orders_clean',
      key: ['id'],
      load: 'current',
      columns: {},
      rules: [],
    });
    expect(silverLineage(plan)).toEqual([
      {
        layer: 'silver',
        tableName: 'orders_clean',
        columnName: 'id',
        sourceTable: 'bronze.orders',
        sourceColumn: 'id',
      },
    ]);
    expect(bronzeLineage({ id: 'shop.orders', columns: ['id'] }, 'orders')).toMatchObject([
      { layer: 'bronze', sourceTable: 'shop.orders', sourceColumn: 'id' },
    ]);
  });
});
