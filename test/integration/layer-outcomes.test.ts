// What a layer tells of itself where a part of it failed.
import { expect, test } from 'vitest';

import { readDuckdb } from '../support/duckdb-read.ts';
import { openLayers } from '../support/layer-run.ts';

test('silver that failed in one stream tells what the others brought', async () => {
  await using layers = await openLayers(
    'create table good (id int primary key, n int)',
    'insert into good values (1, 1), (2, 2)',
    'create table bad (id int primary key, n int)',
    'insert into bad values (1, null)',
  );
  const failing = { quality_rules: [{ rule: 'not_null', columns: ['n'], action: 'fail' }] };
  const ref = await layers.execution(
    await layers.pipeline({
      streams: [
        { stream: 'main.bad', config: JSON.stringify(failing) },
        { stream: 'main.good', config: '{}' },
      ],
    }),
  );
  await layers.run(ref, 'bronze');
  await expect(layers.run(ref, 'silver')).rejects.toMatchObject({ code: 'quality_failed' });
  expect(await layers.layer(ref, 'silver')).toMatchObject({
    status: 'failed',
    records: 2,
    records_filtered: 0,
    tables: '["good"]',
  });
});

test('columns of silver have the types that the stream of the pipeline gives them', async () => {
  await using layers = await openLayers(
    'create table orders (id int primary key, total text, note text)',
    `insert into orders values (1, '12.50', 'a'), (2, 'much', 'b')`,
  );
  const columns = { total: 'decimal(12,2)' };
  const ref = await layers.execution(
    await layers.pipeline({
      streams: [{ stream: 'main.orders', config: JSON.stringify({ columns }) }],
    }),
  );
  await layers.run(ref, 'bronze');
  await layers.run(ref, 'silver');
  expect(await layers.layer(ref, 'silver')).toMatchObject({ records: 1, records_filtered: 1 });
  const sql = 'select id::varchar, total::varchar, typeof(total), typeof(note) from silver.orders';
  expect(await readDuckdb(layers.warehouse, sql)).toEqual([
    ['1', '12.50', 'DECIMAL(12,2)', 'VARCHAR'],
  ]);
});

test('gold that failed in one model tells which tables are new, also of the attempts before', async () => {
  await using layers = await openLayers('create table t (id int primary key)');
  const ref = await layers.execution(await layers.pipeline({}));
  layers.model('a', 'select 1 as n');
  layers.model('broken', 'select nothing from nowhere');
  layers.model('reads_broken', 'select * from gold.broken');
  await expect(layers.run(ref, 'gold')).rejects.toMatchObject({ code: 'model_failed' });
  expect(await layers.layer(ref, 'gold')).toMatchObject({ status: 'failed', tables: '["a"]' });
  layers.model('a', 'select nothing from nowhere');
  layers.model('broken', 'select 2 as n');
  await expect(layers.run(ref, 'gold')).rejects.toMatchObject({ code: 'model_failed' });
  expect(await layers.layer(ref, 'gold')).toMatchObject({
    status: 'failed',
    tables: '["a","broken","reads_broken"]',
  });
});
