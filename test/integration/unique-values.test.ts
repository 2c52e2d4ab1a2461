// A destination table of the user's own with a unique constraint, which is checked at once: values pass from row to
// row inside a transaction that comes in several pieces.
import { expect, test } from 'vitest';

import { expectExit } from '../support/exit.ts';
import { describeEachServer } from '../support/shared-servers.ts';
import { createPipeline, type PipelineOptions } from '../support/test-pipeline.ts';

const options: PipelineOptions = {
  setup: `create table seats (id int primary key, seat int, body text);
    alter table seats alter body set storage external;
    insert into seats select i, i, repeat('b' || i, 2000) from generate_series(1, 6) i;
    create table bulk (id int primary key, n int); insert into bulk select i, 0 from generate_series(1, 4000) i`,
  destinationSetup: 'create table seats (id int primary key, seat int unique, body text)',
  // The transaction is cut after three times as many changes.
  args: ['--batch-rows', '500'],
};
const BETWEEN = 'update bulk set n = n + 1';

describeEachServer(
  'unique values',
  (server) => {
    test.each([
      [
        'two rows exchange theirs',
        ['update seats set seat = 2 where id = 1', 'update seats set seat = 1 where id = 2'],
      ],
      [
        'three rows pass theirs on',
        [
          'update seats set seat = 2 where id = 1',
          'update seats set seat = 3 where id = 2',
          'update seats set seat = 1 where id = 3',
        ],
      ],
      [
        'a row that waits is changed again, in part and as a whole',
        [
          `update seats set seat = 2, body = repeat('new', 2000) where id = 1`,
          'update seats set seat = 7 where id = 1',
          'update seats set seat = 2 where id = 1; update seats set seat = 8 where id = 2',
        ],
      ],
      [
        'a row that waits is deleted, and its value goes to another',
        [
          'insert into seats values (10, 1)',
          'delete from seats where id = 10; insert into seats values (11, 1)',
          'delete from seats where id = 1',
        ],
      ],
      [
        'a row that waits gets another key',
        [
          'update seats set seat = 2 where id = 1',
          'update seats set id = 21 where id = 1',
          'update seats set seat = 1 where id = 2',
        ],
      ],
      [
        'all rows go while one waits',
        [
          'update seats set seat = 2 where id = 1',
          'truncate seats',
          'insert into seats values (1, 2), (2, 1)',
        ],
      ],
      [
        'a column comes while one waits',
        [
          'update seats set seat = 2 where id = 1',
          `alter table seats add note text; update seats set note = 'n' where id = 1`,
          'update seats set seat = 1 where id = 2',
        ],
      ],
    ])('%s between the pieces of one transaction', async (_, statements) => {
      await using pipeline = await createPipeline(server, options);
      await pipeline.caughtUp();
      await pipeline.sql(`begin; ${statements.join(`; ${BETWEEN}; `)}; commit`);
      await pipeline.caughtUp();
      await pipeline.expectEqual();
      expect(await pipeline.read('select count(*)::text from _forebay.dead_letters')).toEqual([
        ['0'],
      ]);
    });

    test('the row that no order lets in is refused alone', async () => {
      await using pipeline = await createPipeline(server, options);
      await pipeline.caughtUp();
      await server.query(pipeline.destination, 'insert into seats values (99, 50)');
      await pipeline.sql(`begin; update seats set seat = 2 where id = 1; update seats set seat = 50 where id = 3;
        ${BETWEEN}; update seats set seat = 1 where id = 2; update seats set seat = 3 where id = 4; commit`);
      const exit = await pipeline.catchUp();
      expectExit(exit, 5);
      expect(exit.result?.streams.find(({ stream }) => stream === 'public.seats')).toMatchObject({
        read: 4,
        applied: 2,
        deadLettered: 2,
      });
      expect(
        await pipeline.read(`select payload ->> 'id' from _forebay.dead_letters order by 1`),
      ).toEqual([['3'], ['4']]);
      expect(
        await pipeline.read('select id::text, seat::text from seats where id < 5 order by id'),
      ).toEqual([
        ['1', '2'],
        ['2', '1'],
        ['3', '3'],
        ['4', '4'],
      ]);
    });

    test.each([
      [0, 1],
      [1, 5],
    ])('with a budget of %i for refused rows, one ends in exit %i', async (budget, code) => {
      await using pipeline = await createPipeline(server, options);
      await pipeline.caughtUp();
      await server.query(pipeline.destination, 'insert into seats values (99, 50)');
      await pipeline.sql('update seats set seat = 50 where id = 3');
      const exit = await pipeline.catchUp({ args: ['--error-budget', String(budget)] });
      expectExit(exit, code);
      expect(exit.result?.error?.code ?? null).toBe(code === 1 ? 'error_budget' : null);
    });
  },
  [17],
);
