// Content of both sides read through the connectors: what is equal must be found equal, whatever the types.
import { expect, test } from 'vitest';

import { expectExit } from '../support/exit.ts';
import { openSystem } from '../support/open-system.ts';
import { describeEachServer } from '../support/shared-servers.ts';
import { createPipeline, type TestPipeline } from '../support/test-pipeline.ts';
import type { ComparedContent } from '../../src/engine/compare-content.ts';
import { compareContent } from '../../src/engine/compare-content.ts';

const setup = `
  create type mood as enum ('sad', 'happy');
  create table kinds (
    id bigint primary key, s smallint, r real, d double precision, n numeric, fixed numeric(12, 3), huge numeric(60, 4),
    t text, c char(5), v varchar(9), b bytea, flag boolean, day date, clock time, ts timestamp, tz timestamptz,
    span interval, u uuid, j json, jb jsonb, m mood, addr inet, ints int[], prices numeric(8, 2)[], texts text[],
    floats float8[], nested int[][]);
  insert into kinds values
    (1, -5, 'NaN', '-0', 1.500, 1.5, 123456789012345678901234567890.1, 'ä', 'ab', 'x', '\\x00ff', true, '2024-02-29', '24:00',
     '1969-12-31 23:59:59.999999', '2024-01-01 00:00+02', '1 year -3 days 00:00:00.000001', gen_random_uuid(), '{"b": 1,  "a": [1]}',
     '{"b": 1, "a": null}', 'happy', '10.0.0.1/8', '{1,null,3}', '{1.50,2}', '{"a,b",null,""}', '{NaN,-0,1e300}', '{{1,2},{3,4}}'),
    (2, null, 'Infinity', '-Infinity', 'NaN', -0.001, 0, '', '', '', '', false, 'infinity', '00:00', '-infinity', 'infinity',
     '-1 month', null, '[]', '[]', 'sad', '::1', '{}', '{}', '{}', '{}', '{}'),
    (3, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null,
     null, null, null, null, null, null, null, null, null, null, null);
  insert into kinds (id, d, n, fixed, ts, ints) select i, 1 / i::float8, i * 1.10, i / 1000.0, 'epoch'::timestamp + i * interval '1 us', array[i, -i]
    from generate_series(10, 3000) i;
  create table bare (a int, b numeric(6, 2), e text[]);
  insert into bare select i % 3, 1.1, array['x', i::text] from generate_series(1, 9) i;
  alter table bare replica identity full;
  create table empty (id int primary key)`;

async function compare(pipeline: TestPipeline): Promise<readonly ComparedContent[]> {
  await using systems = await openSystem(pipeline.urls);
  const targets = await systems.targets();
  return await compareContent(systems.source, systems.destination, targets, {
    slabs: systems.slabs,
  });
}

describeEachServer(
  'compare',
  (server) => {
    for (const destination of ['postgres', 'duckdb'] as const) {
      test(`equal content of every type is equal, and one changed value is found (${destination})`, async () => {
        await using pipeline = await createPipeline(server, { setup, destination });
        await pipeline.caughtUp();
        for (const stream of await compare(pipeline)) {
          expect(stream).toMatchObject({ identical: true, inserted: 0, updated: 0, deleted: 0 });
          expect(stream.sourceHash).toBe(stream.destinationHash);
        }
        await pipeline.sql(`update kinds set floats = '{NaN,0,1e300}' where id = 1;
          update kinds set prices = '{0.01}' where id = 2; delete from bare where a = 1 and e[2] = '1'; insert into empty values (1)`);
        expect(await compare(pipeline)).toMatchObject([
          {
            stream: 'public.bare',
            sourceRows: 8,
            destinationRows: 9,
            inserted: 0,
            updated: 0,
            deleted: 1,
          },
          { stream: 'public.empty', inserted: 1, identical: false },
          { stream: 'public.kinds', inserted: 0, updated: 2, deleted: 0 },
        ]);
      });

      test(`recovering a copy of every type moves nothing (${destination})`, async () => {
        await using pipeline = await createPipeline(server, { setup, destination });
        await pipeline.caughtUp();
        const recovered = await pipeline.command('recover', '--json');
        expectExit(recovered, 0);
        expect(recovered.result?.streams.map(({ read }) => read)).toEqual([0, 0, 0]);
      });
    }

    test('types of another width and kind at the destination are compared by value', async () => {
      await using pipeline = await createPipeline(server, {
        setup: `create table odd (id int primary key, n numeric(8, 2), r real, t varchar(4), i int);
          insert into odd select i, i / 4.0, i / 3.0, 'v', i from generate_series(1, 100) i`,
      });
      await using copy = await server.connect(pipeline.destination);
      await copy.query(
        'create table odd (id bigint primary key, n numeric(20, 5), r double precision, t text, i numeric)',
      );
      await pipeline.caughtUp();
      expect(await compare(pipeline)).toMatchObject([{ identical: true, sourceRows: 100 }]);
    });
  },
  [17],
);
