// Rows are found again by keys of every type, also where equal keys have different texts.
import { describe, expect, test } from 'vitest';

import { destinationKinds, openReplication } from '../support/replication.ts';
import { describeEachServer } from '../support/shared-servers.ts';
import { expectDone } from '../support/type-matrix.ts';

interface KeyCase {
  readonly name: string;
  readonly type: string;
  /** Two keys that stay, one that goes, one that comes. */
  readonly keys: readonly [string, string, string, string];
  readonly setup?: string;
}

const cases: readonly KeyCase[] = [
  {
    name: 'int8',
    type: 'bigint',
    keys: ["'-9223372036854775808'", '0', '9223372036854775807', '1'],
  },
  { name: 'float8', type: 'float8', keys: ["'NaN'", "'-0'", "'Infinity'", '5e-324'] },
  { name: 'numeric', type: 'numeric', keys: ['1.0', "'NaN'", '1e30', '-0.5'] },
  { name: 'numeric_2', type: 'numeric(12,2)', keys: ['1.0', '-0.01', '9999999999.99', '2'] },
  { name: 'text', type: 'text', keys: ["''", "' a '", "'é🦆'", String.raw`E'tab\t\\N'`] },
  { name: 'char', type: 'char(4)', keys: ["'a'", "''", "'abcd'", "'b '"] },
  {
    name: 'bytea',
    type: 'bytea',
    keys: [String.raw`'\x'`, String.raw`'\x00ff'`, String.raw`'\x5c'`, String.raw`'\x01'`],
  },
  {
    name: 'date',
    type: 'date',
    keys: ["'infinity'", "'0044-03-15 BC'", "'2024-01-01'", "'12345-01-01'"],
  },
  {
    name: 'timestamptz',
    type: 'timestamptz',
    keys: [
      "'infinity'",
      "'2024-01-01 00:00:00.000001+02'",
      "'0044-03-15 00:00:00+00 BC'",
      "'-infinity'",
    ],
  },
  { name: 'time', type: 'time', keys: ["'24:00'", "'00:00'", "'12:00:00.000001'", "'01:00'"] },
  { name: 'interval', type: 'interval', keys: ["'1 mon'", "'1 day'", "'00:00:01'", "'-1 year'"] },
  {
    name: 'uuid',
    type: 'uuid',
    keys: [
      "'550e8400-e29b-41d4-a716-446655440000'",
      "'00000000-0000-0000-0000-000000000000'",
      "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
      "'7fffffff-ffff-ffff-ffff-ffffffffffff'",
    ],
  },
  { name: 'inet', type: 'inet', keys: ["'10.0.0.1'", "'10.0.0.1/8'", "'::1'", "'::/0'"] },
  { name: 'jsonb', type: 'jsonb', keys: [`'{"a": 1.50}'`, "'[]'", "'null'", `'"t"'`] },
  { name: 'int_array', type: 'int[]', keys: ["'{}'", "'{1,NULL}'", "'{1}'", "'{2}'"] },
  { name: 'text_array', type: 'text[]', keys: ["'{}'", `'{"a,b",NULL}'`, `'{""}'`, "'{x}'"] },
  { name: 'range', type: 'int4range', keys: ["'empty'", "'[1,5)'", "'(,)'", "'[7,)'"] },
  {
    name: 'enum',
    type: 'size',
    setup: "create type size as enum ('s', 'm', 'l', 'x l')",
    keys: ["'s'", "'m'", "'l'", "'x l'"],
  },
  { name: 'domain', type: 'code', setup: 'create domain code as int', keys: ['1', '2', '3', '4'] },
  {
    name: 'composite',
    type: 'pair',
    setup: 'create type pair as (a int, b text)',
    keys: ["'(1,a)'", `'(2,"a b")'`, "'(,)'", "'(3,)'"],
  },
  {
    name: 'citext',
    type: 'citext',
    setup: 'create extension citext',
    keys: ["'A'", "'b'", "'Ç'", "'d'"],
  },
];

describeEachServer('keys', (server) => {
  describe.each(destinationKinds)('in %s', (kind) => {
    test('43 a row is updated, deleted and moved by its key, whatever the type', async () => {
      await using replication = await openReplication(server);
      for (const { name, type, keys, setup } of cases) {
        const [first, second, gone] = keys;
        if (setup !== undefined) await replication.sql(setup);
        await replication.sql(
          `create table k_${name} (k ${type} primary key, big text, n int)`,
          `alter table k_${name} alter big set storage external`,
          `insert into k_${name} select k, repeat('x', 3000), 0 from (values (${first}::${type}), (${second}), (${gone})) v(k)`,
        );
      }
      expectDone(await replication.run(kind));
      for (const { name, type, keys } of cases) {
        const [first, second, gone, moved] = keys.map((key) => `${key}::${type}`);
        await replication.sql(
          `update k_${name} set n = 1 where k = ${first}`,
          `delete from k_${name} where k = ${gone}`,
          `update k_${name} set k = ${moved}, n = 2 where k = ${second}`,
          `insert into k_${name} values (${gone}, 'short', 3)`,
        );
      }
      expectDone(await replication.run(kind));
      for (const { name } of cases) {
        const expected = await replication.read(
          'source',
          `select n::text, length(big)::text from k_${name} order by n`,
        );
        const rows = await replication.read(
          kind,
          `select n::VARCHAR, length(big)::VARCHAR from public.k_${name} t order by t.n`,
        );
        expect(rows, name).toEqual(expected);
        expect(rows, name).toEqual([
          ['1', '3000'],
          ['2', '3000'],
          ['3', '5'],
        ]);
      }
    });

    test('43 a key that becomes an equal one with another text stays one row, with the new text', async () => {
      await using replication = await openReplication(server);
      await replication.sql(
        'create table n (k numeric primary key, v int)',
        'create table z (k float8 primary key, v int)',
        'create extension citext',
        'create table c (k citext primary key, v int)',
        'insert into n values (1.0, 0), (2, 0)',
        "insert into z values ('-0', 0), (2, 0)",
        "insert into c values ('a', 0), ('b', 0)",
      );
      expectDone(await replication.run(kind));
      await replication.sql(
        'update n set k = 1.00, v = 1 where k = 1',
        'update z set k = 0, v = 1 where k = 0',
        "update c set k = 'A', v = 1 where k = 'a'",
        'update n set v = 2 where k = 1',
        'update z set v = 2 where k = 0',
        "update c set v = 2 where k = 'a'",
      );
      expectDone(await replication.run(kind));
      for (const table of ['n', 'z', 'c']) {
        const expected = await replication.read(
          'source',
          `select k::text, v::text from ${table} order by 1`,
        );
        const text =
          kind === 'duckdb' && table === 'z' ? "replace(k::VARCHAR, '.0', '')" : 'k::VARCHAR';
        const rows = await replication.read(
          kind,
          `select ${text}, v::VARCHAR from public.${table} order by 1`,
        );
        expect(rows, table).toEqual(expected);
        expect(rows, table).toHaveLength(2);
      }
    });
  });
});
