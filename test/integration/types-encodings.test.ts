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

    test.each(['upsert', 'append'])(
      '41 a SQL_ASCII source, %s: UTF-8 goes through, other bytes become dead letters',
      async (load) => {
        await using replication = await openReplication(server, {
          createSource: encoding('SQL_ASCII'),
        });
        const text = (hex: string): string => `convert_from('\\x${hex}', 'SQL_ASCII')`;
        const insert = (from: number): string =>
          `insert into t values (${from}, 'plain', '{a}'), (${from + 1}, ${text('c3a9f09fa686')}, null),
             (${from + 2}, ${text('61e962')}, '{}'), (${from + 3}, 'after', '{}'),
             (${from + 4}, 'array', array['a', ${text('ff')}])`;
        await replication.sql('create table t (id int primary key, v text, a text[])', insert(10));
        const first = await replication.run(kind, '--load', load);
        expect(first.result?.streams, first.stderr).toMatchObject([
          { read: 5, applied: 3, deadLettered: 2, paused: null },
        ]);
        expect(first.code, first.stderr).toBe(5);
        await replication.sql(insert(20));
        const second = await replication.run(kind, '--load', load);
        expect(second.result?.streams, second.stderr).toMatchObject([
          { read: 5, applied: 3, deadLettered: 2, paused: null },
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
        const field = (name: string): string => `(payload->>'${name}')::VARCHAR`;
        const letters = await replication.read(
          kind,
          `select code::VARCHAR, op::VARCHAR, ${field('id')}, ${field('v')}, ${field('a')}
           from _forebay.dead_letters order by 3`,
        );
        expect(letters).toEqual([
          ['value_rejected', 'r', '12', '\\x61e962', '{}'],
          ['value_rejected', 'r', '14', 'array', String.raw`{a,"\\xff"}`],
          ['value_rejected', 'i', '22', '\\x61e962', '{}'],
          ['value_rejected', 'i', '24', 'array', String.raw`{a,"\\xff"}`],
        ]);
        const replayed = await replication.replay(kind);
        expect(replayed.code, replayed.stderr).toBe(5);
        expect(await replication.read(kind, 'select count(*)::VARCHAR from public.t')).toEqual([
          ['6'],
        ]);
      },
    );
  });
});
