// The source's own query against the objects lane: one transformation done in both places gives the same table.
import { describe, expect, test } from 'vitest';

import { compileCustom } from '../../src/transforms/custom/compile.ts';
import { pushDown } from '../../src/transforms/custom/push-down.ts';
import type { DocumentRunner } from '../../src/transforms/lane/options.ts';
import { createLane, type LanePipeline } from '../support/lane-pipeline.ts';
import type { LaneExtras } from '../support/lane-systems.ts';
import { sharedServer } from '../support/shared-servers.ts';

const server = sharedServer(17);

const TABLE = `
create type pair as (a int, b text);
create type mood as enum ('sad', 'glad');
create table people (id int primary key, name text, nick varchar(20), code char(6), big bigint, small smallint,
  price numeric(10,2), weight float8, active boolean, born date, seen timestamptz, noted timestamp, tags text[],
  data jsonb, "raw" json, key uuid, blob bytea, two pair, feels mood, "odd ""name" text, folded text,
  gone text);
alter table people drop column gone;
insert into people
select i, (array['ann', 'Bob', null, 'Zoë', '', 'O''Neil \\ "x"', repeat('long ', 3000)])[1 + i % 7],
  left('nick' || i, 20), 'c' || i % 3, (i % 5) * 1000000000000, i % 4 - 2, i / 7.0, i / 3.0,
  case i % 3 when 0 then true when 1 then false end, date '2024-01-01' + i % 40,
  timestamptz '2024-01-01 00:00+00' + i * interval '9 hours', timestamp '2024-01-20 12:00' - i * interval '1 day',
  array['t' || i, null], jsonb_build_object('n', i, 's', 'x'), '{"a": 1}',
  ('00000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid, decode(lpad(to_hex(i), 4, '0'), 'hex'),
  row(i, 'b')::pair, 'glad', 'odd', (array['Mixed', 'mixed', 'MIXED'])[1 + i % 3]
from generate_series(1, 200) i;
insert into people (id) values (201);
insert into people (id, name, price, weight, born, seen, noted, data, two) values
  (202, 'x', 'NaN', 'Infinity', 'infinity', '-infinity', 'infinity', 'null', row(null, null)),
  (203, 'y', 0, '-0', '4713-01-01 BC', '0044-03-15 00:00+00 BC', '12024-01-20', '[]', null),
  (204, 'z', 0, 'NaN', '10000-01-01', '2024-01-20 00:00+00', '2024-01-20', '""', row(null, 'b'));`;

/** Of what the source can do, each alone and all together. */
const PUSHED: Readonly<Record<string, Record<string, unknown>>> = {
  drop: { mapping: { drop: ['data', '"no such column"', '"odd ""name"', 'blob'] } },
  rename: { mapping: { rename: { name: 'title', nick: 'name', key: 'Key' }, drop: ['two'] } },
  set: {
    mapping: {
      set: {
        origin: "'crm \\ it''s'",
        number: 12.5,
        negative: -3,
        yes: true,
        nothing: null,
        copy: 'nick',
        name: "'all the same'",
        missing: 'no_such_column',
      },
    },
  },
  masks: {
    mask: {
      name: { method: 'redact' },
      data: { method: 'redact', value: null },
      two: { method: 'redact', value: "it's \\ gone" },
      nick: { method: 'truncate', length: 5 },
      code: { method: 'truncate', length: 4 },
      folded: { method: 'truncate', length: 100 },
      absent: { method: 'redact' },
    },
  },
  numbers: {
    filter: 'small >= 0 and not (big = 2000000000000) or id in (3, 5, -7) and small <> 1.5',
  },
  between: { filter: 'id between 10 and 90.5 and -1 < small' },
  truths: { filter: "active or active = false and name <> 'ann'" },
  nulls: { filter: '(two is null or data_of is not null) and name is not null or active is null' },
  texts: { filter: "folded = 'mixed' or code = 'c1    ' or name in ('ann', 'O''Neil \\ \"x\"')" },
  uuids: { filter: "key = '00000000-0000-4000-8000-000000000007' or feels is null" },
  dates: { filter: "born >= '2024-01-20' and born <> '2024-01-25'" },
  moments: { filter: "seen < '2024-01-20' or noted > '2024-01-20' or noted = '2024-01-20'" },
  missing: { filter: 'absent is null and not (absent > 3 and id > 5)' },
  unknown: { filter: 'null or id = 7' },
  steps: {
    steps: [
      { filter: 'id > 3', mapping: { rename: { name: 'title' }, drop: ['tags'] } },
      { filter: "title <> 'ann'", mask: { title: { method: 'truncate', length: 3 } } },
      { filter: 'tags is null', mapping: { set: { tags: "'none'" } } },
    ],
  },
};

function runnerOf(specification: unknown, seen: { documents: number }): DocumentRunner {
  const result = compileCustom(specification, { module: () => () => ({ kind: 'filtered' }) });
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return {
    run: (documents) => {
      seen.documents += documents.length;
      return Promise.resolve(documents.map(result.transform));
    },
  };
}

/** Without filters, as the service opens it. */
function probeOf(specification: Record<string, unknown>): unknown {
  const { filter: _filter, steps, ...rest } = specification;
  if (Array.isArray(steps)) {
    const kept = steps.map(({ filter: _gone, ...step }: Record<string, unknown>) => step);
    return { steps: kept };
  }
  return Object.keys(rest).length === 0 ? { filter: 'true' } : rest;
}

function extrasOf(
  specification: Record<string, unknown>,
  seen: { documents: number },
  pushes: boolean,
): LaneExtras {
  return {
    runner: runnerOf(specification, seen),
    probe: runnerOf(probeOf(specification), { documents: 0 }),
    ...(pushes ? { pushDown: (schema) => pushDown(specification, schema) } : {}),
  };
}

const settings = { transform: 'identity', id: 'pushed' } as const;

async function contentOf(lane: LanePipeline): Promise<unknown> {
  const columns = await lane.read(
    `select column_name, data_type from information_schema.columns where table_name = 'people' order by ordinal_position`,
  );
  const list = columns.map(([name]) => `cast("${name?.replaceAll('"', '""') ?? ''}" as varchar)`);
  return {
    columns,
    // The objects lane writes JSON anew; its spaces are no part of the value.
    rows: (await lane.read(`select ${list.join(', ')} from public.people order by id`)).map((row) =>
      row.map((text) =>
        text?.startsWith('{"') === true ? JSON.stringify(JSON.parse(text)) : text,
      ),
    ),
  };
}

describe.skipIf(server === null)('a transformation in the source’s query', () => {
  if (server === null) return;

  for (const kind of ['postgres', 'duckdb'] as const) {
    test.each(Object.entries(PUSHED))(
      `%s gives what the objects lane gives (${kind})`,
      async (_, specification) => {
        const [there, here] = [{ documents: 0 }, { documents: 0 }];
        await using pushed = await createLane(server, kind, TABLE);
        await using kept = await createLane(server, kind, TABLE);
        const one = await pushed.caughtUp({
          settings,
          extras: extrasOf(specification, there, true),
        });
        const other = await kept.caughtUp({
          settings,
          extras: extrasOf(specification, here, false),
        });
        expect(there.documents).toBe(0);
        expect(here.documents).toBe(204);
        expect(await contentOf(pushed)).toEqual(await contentOf(kept));
        const accounts = [one, other].map(({ result }) =>
          result.streams.map(({ read, applied, filtered }) => ({ read, applied, filtered })),
        );
        expect(accounts[0]).toEqual(accounts[1]);
        expect(accounts[0]?.[0]?.applied).toBeGreaterThan(0);
      },
    );
  }

  test('changes that follow find their rows', async () => {
    const specification = {
      filter: 'active is null or active',
      mapping: { drop: ['blob'], rename: { name: 'title' } },
    };
    const seen = { documents: 0 };
    await using lane = await createLane(server, 'postgres', TABLE);
    const run = { settings, extras: extrasOf(specification, seen, true) };
    await lane.caughtUp(run);
    expect(seen.documents).toBe(0);
    await lane.sql(`update people set name = 'new', active = true where id = 3;
      update people set active = false where id = 6; delete from people where id = 9;
      insert into people (id, name) values (300, 'late'); alter table people add column more int default 5;
      update people set more = 6 where id = 12`);
    await lane.caughtUp(run);
    const wanted = await lane.client.query(
      `select id::text, name, more::text from people where active is not false order by people.id`,
    );
    expect(await lane.read('select id, title, more from people order by id')).toEqual(
      wanted.rows.map(({ id, name, more }) => [id, name, more]),
    );
    expect(seen.documents).toBeGreaterThan(0);
  });

  test('rows of a table that is read beside the changes go through the objects lane where they are filtered', async () => {
    const specification = { filter: 'hidden is null' };
    const seen = { documents: 0 };
    await using lane = await createLane(
      server,
      'postgres',
      'create table first (id int primary key)',
    );
    const run = { settings, extras: extrasOf(specification, seen, true) };
    await lane.caughtUp(run);
    await lane.sql(`create table joined (id int primary key, hidden int);
      insert into joined select i, nullif(i % 3, 0) from generate_series(1, 30) i`);
    await lane.caughtUp(run);
    expect(await lane.read('select count(*)::text from joined')).toEqual([['10']]);
    expect(seen.documents).toBeGreaterThanOrEqual(30);
  });
});
