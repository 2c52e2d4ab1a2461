// A publication and a slot of the user's own: read, and neither changed nor removed.
import { expect, test } from 'vitest';

import { expectExit } from '../support/exit.ts';
import { describeEachServer } from '../support/shared-servers.ts';
import { createPipeline } from '../support/test-pipeline.ts';

const setup = `create table a (id int primary key, v text); insert into a values (1, 'one');
  create table b (id int primary key); insert into b values (1);
  create publication mine for table a with (publish_via_partition_root = true)`;

describeEachServer("a publication of the user's own", (server) => {
  test('is followed under a slot of the name that was given, and stays when the pipeline is dropped', async () => {
    await using pipeline = await createPipeline(server, { setup });
    const slot = `mine_${pipeline.name}`;
    const own = ['--set', 'postgres.publication=mine', '--set', `postgres.slot=${slot}`];
    const args = ['--streams', 'public.a', ...own];
    expectExit(await pipeline.command('replicate', '--until-caught-up', '--json', ...args), 0);
    expect((await pipeline.slots()).map(({ slot_name }) => slot_name)).toEqual([slot]);
    await pipeline.sql(`insert into a values (2, 'two'); update a set v = 'changed' where id = 1`);
    expectExit(await pipeline.command('replicate', '--until-caught-up', '--json', ...args), 0);
    expect(await pipeline.read('select id::text, v from public.a order by id')).toEqual([
      ['1', 'changed'],
      ['2', 'two'],
    ]);
    const names = await server.query(pipeline.source, 'select pubname from pg_publication');
    expect(names).toEqual([{ pubname: 'mine' }]);
    expectExit(await pipeline.command('drop', '--yes', ...own), 0);
    expect(await pipeline.slots()).toEqual([]);
    const left = await server.query(pipeline.source, 'select pubname from pg_publication');
    expect(left).toEqual([{ pubname: 'mine' }]);
  });

  test('that lacks a table, a kind of change or rows is refused before anything is made', async () => {
    await using pipeline = await createPipeline(server, { setup });
    const own = ['--set', 'postgres.publication=mine'];
    const refused = async (code: string, ...args: string[]): Promise<void> => {
      const exit = await pipeline.command(
        'replicate',
        '--until-caught-up',
        '--json',
        ...own,
        ...args,
      );
      expectExit(exit, 3);
      expect(exit.result?.error?.code).toBe(code);
      expect(await pipeline.slots()).toEqual([]);
    };
    await refused('not_published');
    await pipeline.sql(`alter publication mine set (publish = 'insert')`);
    await refused('source_settings', '--streams', 'public.a');
    const other = await pipeline.command(
      'replicate',
      '--until-caught-up',
      '--json',
      '--set',
      'postgres.publication=other',
    );
    expect(other.result?.error?.code).toBe('source_settings');
  });

  test('a slot of that name that is there is not taken', async () => {
    await using pipeline = await createPipeline(server, { setup });
    const slot = `theirs_${pipeline.name}`;
    await pipeline.sql(`select pg_create_logical_replication_slot('${slot}', 'pgoutput')`);
    const exit = await pipeline.command(
      'replicate',
      '--until-caught-up',
      '--json',
      '--set',
      `postgres.slot=${slot}`,
    );
    expectExit(exit, 3);
    expect(exit.result?.error?.code).toBe('slot_in_use');
    expect((await pipeline.slots()).map(({ slot_name }) => slot_name)).toEqual([slot]);
  });
});
