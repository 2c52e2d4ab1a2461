// Edits of a service's file while its streams are not as they should be.
import { afterAll, beforeAll, expect, test } from 'vitest';

import { expectExit } from '../support/exit.ts';
import { openReplication, type Replication } from '../support/replication.ts';
import { openServiceFile, type StreamEntry, tableEntry } from '../support/service.ts';
import { describeEachServer } from '../support/shared-servers.ts';
import { eventually } from '../support/wait.ts';

describeEachServer(
  'edits of a service',
  (server) => {
    let pair: Replication;

    beforeAll(async () => {
      pair = await openReplication(server);
      await pair.sql(
        `create table a (id int primary key, note text); insert into a values (1, 'one')`,
        'create table b (id int primary key, note text)',
      );
    });
    afterAll(async () => {
      await pair[Symbol.asyncDispose]();
    });

    const entry = (table: string, more: StreamEntry = {}): StreamEntry =>
      tableEntry(server, pair, table, more);

    test('while a stream waits for its source: --until-caught-up goes on until it is loaded', async () => {
      using file = await openServiceFile();
      const good = entry('a', { id: `${pair.source}-edited` });
      const lost = {
        ...good,
        source: { ...(good['source'] as object), connection_string: 'postgres://u@127.0.0.1:1' },
        retry_policy: { initial_delay: '1h', max_delay: '1h' },
      };
      file.write([lost]);
      await using running = file.start('--until-caught-up', '--json');
      await file.until(({ streams }) => streams[0]?.state === 'retrying');
      file.write([good]);
      const exit = await running.exit;
      expectExit(exit, 0);
      expect(exit.result?.status).toBe('completed');
      const rows = await pair.read('postgres', `select id || ' ' || note from a`);
      expect(rows).toEqual([['1 one']]);
    });

    test('a stream that hangs at its destination holds up no edit of another', async () => {
      using file = await openServiceFile();
      const settings = { service: { graceful_shutdown_timeout: '300ms' } };
      file.write([entry('b'), entry('a')], settings);
      await using running = file.start();
      const streaming = (health: { streams: readonly { state: string }[] }): boolean =>
        health.streams.every(({ state }) => state === 'streaming');
      await file.until(streaming);
      {
        await using holder = await server.connect(pair.copy);
        await holder.query('begin; lock table b in access exclusive mode');
        await pair.sql(`insert into b values (1, 'one')`);
        await eventually(async () => {
          const [row] = await server.query(
            pair.copy,
            'select count(*)::int as waiting from pg_locks where not granted',
          );
          return row?.['waiting'] !== 0;
        });
        file.write([entry('b', { batch_size: 9 }), entry('a')], settings);
        await eventually(() => running.stderr().includes('streams_still_ending'));
        await pair.sql(`insert into a values (2, 'two')`);
        file.write([entry('b', { batch_size: 9 }), entry('a', { batch_size: 9 })], settings);
        await eventually(() =>
          running.stderr().includes(`"changed":["${pair.source}-a"],"untouched":1`),
        );
        await eventually(async () => {
          const rows = await pair.read('postgres', 'select note from a where id = 2');
          return rows.length === 1;
        });
        await holder.query('rollback');
      }
      await eventually(async () => {
        const rows = await pair.read('postgres', `select id || ' ' || note from b`);
        expect(rows).toEqual([['1 one']]);
        return true;
      });
      await file.until(streaming);
      running.kill('SIGTERM');
      expectExit(await running.exit, 0);
    });
  },
  [17],
);
