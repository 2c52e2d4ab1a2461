// What a layer tells of itself where a part of it failed.
import { expect, test } from 'vitest';

import { quarantinedRows } from '../../src/api/control/quarantine.ts';
import { readLogs } from '../../src/metadata/execution-logs.ts';
import { requirePipeline } from '../../src/metadata/pipelines.ts';
import { readDuckdb } from '../support/duckdb-read.ts';
import { openLayers } from '../support/layer-run.ts';

const CANARY = 'canary-of-a-row-7c2e';

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

test('rows that broke a rule are read from the warehouse, and are in no log', async () => {
  await using layers = await openLayers(
    'create table orders (id int primary key, total int, note text)',
    `insert into orders values (1, 1, 'good'), (2, -1, '${CANARY}'), (3, 5, null)`,
  );
  const quality_rules = [
    { rule: 'range', column: 'total', min: 0, action: 'filter' },
    { rule: 'not_null', columns: ['note'] },
  ];
  const id = await layers.pipeline({
    streams: [{ stream: 'main.orders', config: JSON.stringify({ quality_rules }) }],
  });
  const ref = await layers.execution(id);
  await layers.run(ref, 'bronze');
  await layers.run(ref, 'silver');
  const { scope, deps, metadata } = layers;
  const pipeline = await requirePipeline(metadata.db, scope, id);
  const all = { stream: null, rule: null, limit: 10, signal: new AbortController().signal };
  const found = await quarantinedRows(deps, scope, pipeline, all);
  expect(found).toHaveLength(2);
  const range = { ...all, stream: 'main.orders', rule: 'range:total' };
  expect(await quarantinedRows(deps, scope, pipeline, range)).toEqual([
    {
      stream: 'main.orders',
      rule: 'range:total',
      action: 'filter',
      execution_id: ref.executionId,
      op: 'r',
      position: expect.any(String),
      quarantined_at: expect.stringMatching(/^20\d\d-.*Z$/),
      row: { id: '2', total: '-1', note: CANARY },
    },
  ]);
  expect(await quarantinedRows(deps, scope, pipeline, { ...all, limit: 1 })).toHaveLength(1);
  await expect(
    quarantinedRows(deps, scope, pipeline, { ...all, stream: 'main.others' }),
  ).rejects.toMatchObject({ code: 'stream_not_found' });
  const logs = await readLogs(metadata.db, scope, ref.executionId, { after: 0, limit: 1000 });
  expect(logs.length).toBeGreaterThan(0);
  expect(JSON.stringify(logs)).not.toContain(CANARY);
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
