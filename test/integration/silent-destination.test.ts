// A destination that takes less than it was given and says nothing: a trigger of the user's own swallows rows.
import { expect, test } from 'vitest';

import { describeEachServer } from '../support/shared-servers.ts';
import { createPipeline, type PipelineOptions } from '../support/test-pipeline.ts';

const SETUP = `create table orders (id int primary key, a text, body text);
  alter table orders alter body set storage external;
  insert into orders select i, 'a', repeat('b', 5000) from generate_series(1, 5) i`;

/** Rows with this id never change at the destination, whatever writes them. */
const SWALLOW = `create function swallow() returns trigger language plpgsql as $$ begin
    if (tg_op = 'DELETE' and old.id = 2) or (tg_op <> 'DELETE' and new.id in (2, 20)) then return null; end if;
    return case tg_op when 'DELETE' then old else new end; end $$;
  create trigger swallow before insert or update or delete on orders for each row execute function swallow();
  alter table orders enable always trigger swallow`;

describeEachServer(
  'a destination that swallows rows',
  (server) => {
    test.each<[string, string, PipelineOptions]>([
      ['an insert', `insert into orders values (19, 'x', ''), (20, 'x', '')`, {}],
      ['an update', `update orders set a = 'x', body = 'short' where id in (1, 2)`, {}],
      ['an update in part', `update orders set a = 'x' where id in (1, 2)`, {}],
      ['a delete', 'delete from orders where id in (1, 2)', {}],
      ['a soft delete', 'delete from orders where id in (1, 2)', { args: ['--deletes', 'soft'] }],
      ['a row of a history', `insert into orders values (20, 'x', '')`, { load: 'append' }],
      [
        'a row without a key',
        `insert into orders values (20, 'x', '')`,
        { setup: 'create table orders (id int, a text); alter table orders replica identity full' },
      ],
    ])('%s that is swallowed fails the run, which moves nothing', async (_, change, options) => {
      await using pipeline = await createPipeline(server, { setup: SETUP, ...options });
      await pipeline.caughtUp();
      await server.query(pipeline.destination, SWALLOW);
      const columns = options.setup === undefined ? change : change.replace(`, '')`, ')');
      const before = await pipeline.contents();
      await pipeline.sql(columns);
      const exit = await pipeline.catchUp();
      expect(exit.code, exit.stderr + exit.stdout).toBe(1);
      expect(exit.result?.error?.code).toBe('destination_unmoved');
      expect((await pipeline.contents()).destination).toEqual(before.destination);
      await server.query(pipeline.destination, 'alter table orders disable trigger swallow');
      await pipeline.caughtUp();
    });

    test.each<[string, PipelineOptions]>([
      ['as it is sent', {}],
      ['row by row', { setup: SETUP.replace('a text', 'a varchar(9)') }],
    ])('a row of the snapshot, loaded %s', async (_, options) => {
      await using pipeline = await createPipeline(server, {
        setup: SETUP,
        ...options,
        destinationSetup: `create table orders (id int primary key, a text, body text); ${SWALLOW}`,
      });
      const exit = await pipeline.catchUp();
      expect(exit.code, exit.stderr + exit.stdout).toBe(1);
      expect(exit.result?.error?.code).toBe('destination_unmoved');
      await server.query(pipeline.destination, 'alter table orders disable trigger swallow');
      await pipeline.caughtUp();
      await pipeline.expectEqual();
    });
  },
  [17],
);
