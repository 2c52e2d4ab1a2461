// Sources whose encoding is not UTF-8.
import { describe, expect, test } from 'vitest';

import { destinationKinds, openReplication } from '../support/replication.ts';
import { describeEachServer } from '../support/shared-servers.ts';
import { expectDone } from '../support/type-matrix.ts';

const encoding = (name: string): string => `encoding '${name}' lc_collate 'C' lc_ctype 'C'`;

describeEachServer('encodings', (server) => {
  describe.each(destinationKinds)('to %s', (kind) => {
    test('41 a LATIN1 source arrives as the same characters', async () => {
      await using replication = await openReplication(server, { createSource: encoding('LATIN1') });
      await replication.sql(
        'create table "tïtle" (id int primary key, "naïve" text, j jsonb, v varchar(5), a text[])',
        `insert into "tïtle" values (1, 'é ÿ ½', '{"clé": "ü"}', 'ééééé', '{é,NULL,"ü,ß"}')`,
      );
      expectDone(await replication.run(kind));
      await replication.sql(
        `insert into "tïtle" values (2, 'é ÿ ½', '{"clé": "ü"}', 'ééééé', '{é,NULL,"ü,ß"}')`,
        `update "tïtle" set v = 'ñ' where id = 1`,
      );
      expectDone(await replication.run(kind));
      const rows = await replication.read(
        kind,
        `select "naïve"::VARCHAR, j::VARCHAR, v::VARCHAR, array_to_string(a, '|') from public."tïtle" t order by id`,
      );
      expect(rows).toEqual([
        ['é ÿ ½', '{"clé": "ü"}', 'ñ', 'é|ü,ß'],
        ['é ÿ ½', '{"clé": "ü"}', 'ééééé', 'é|ü,ß'],
      ]);
    });

    // DuckDB does not look at the bytes of a string that it is given: such a value is stored as it is.
    const test41 = kind === 'duckdb' ? test.fails : test;
    test41(
      '41 a SQL_ASCII source: UTF-8 goes through, other bytes become dead letters',
      async () => {
        await using replication = await openReplication(server, {
          createSource: encoding('SQL_ASCII'),
        });
        const insert = (from: number): string =>
          `insert into t select ${from}, 'plain' union all select ${from + 1}, convert_from('\\xc3a9f09fa686', 'SQL_ASCII')
         union all select ${from + 2}, convert_from('\\x61e962', 'SQL_ASCII') union all select ${from + 3}, 'after'`;
        await replication.sql('create table t (id int primary key, v text)', insert(10));
        const first = await replication.run(kind);
        expect(first.result?.streams).toMatchObject([
          { read: 4, applied: 3, deadLettered: 1, paused: null },
        ]);
        expect(first.code, first.stderr).toBe(5);
        await replication.sql(insert(20));
        const second = await replication.run(kind);
        expect(second.result?.streams).toMatchObject([
          { read: 4, applied: 3, deadLettered: 1, paused: null },
        ]);
        expect(
          await replication.read(
            kind,
            'select id::VARCHAR, v::VARCHAR from public.t order by t.id',
          ),
        ).toEqual([
          ['10', 'plain'],
          ['11', 'é🦆'],
          ['13', 'after'],
          ['20', 'plain'],
          ['21', 'é🦆'],
          ['23', 'after'],
        ]);
        const letters = await replication.read(
          kind,
          'select code::VARCHAR, op::VARCHAR from _forebay.dead_letters order by id',
        );
        expect(letters).toEqual([
          ['value_rejected', 'r'],
          ['value_rejected', 'i'],
        ]);
      },
    );
  });
});
