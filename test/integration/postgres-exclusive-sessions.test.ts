// A pipeline that refuses to begin while another process runs it.
import { expect, test } from 'vitest';

import { parsePostgresUrl } from '../../src/connectors/postgres/config.ts';
import { openLane } from '../../src/connectors/postgres/lane-pool.ts';
import { runApplicationName } from '../../src/connectors/postgres/other-runs.ts';
import type { DestinationSession } from '../../src/core/connector.ts';
import { openDestination } from '../support/postgres-destination.ts';
import { describeEachServer } from '../support/shared-servers.ts';
import { eventually } from '../support/wait.ts';

const exclusive = { acceptDamaged: false, exclusive: true };

describeEachServer(
  'exclusive runs of a pipeline',
  (server) => {
    test('of several that begin at the same moment one has it, and goes on having it', async () => {
      const database = await server.createDatabase();
      const open = async (): Promise<DestinationSession> => {
        const destination = await openDestination(server.url(database));
        return await destination.openSession('p', exclusive);
      };
      await using first = await open();
      await first[Symbol.asyncDispose]();
      const begun = await Promise.allSettled([open(), open(), open()]);
      const [one, ...others] = begun.filter((result) => result.status === 'fulfilled');
      expect(others).toEqual([]);
      await expect(one?.value.assertEpoch()).resolves.toBeUndefined();
      for (const result of begun) {
        if (result.status === 'rejected')
          expect(result.reason).toMatchObject({ code: 'pipeline_in_use' });
      }
      await one?.value[Symbol.asyncDispose]();
    });

    test('one that another user of the server runs is seen as well', async () => {
      const database = await server.createDatabase();
      const role = `${database}_other`;
      await server.query(database, `create role ${role} superuser login password 'other'`);
      try {
        await using destination = await openDestination(server.url(database));
        await using session = await destination.openSession('p', exclusive);
        const url = new URL(server.url(database));
        url.username = role;
        url.password = 'other';
        await using stranger = await openDestination(url.href);
        await expect(stranger.openSession('p', exclusive)).rejects.toMatchObject({
          code: 'pipeline_in_use',
        });
        await expect(session.assertEpoch()).resolves.toBeUndefined();
      } finally {
        await server.query(database, `drop role ${role}`);
      }
    });

    test('one that was killed in the middle of a statement holds nobody up', async () => {
      const database = await server.createDatabase();
      const { connection } = await openLane({
        config: parsePostgresUrl(server.url(database)),
        applicationName: runApplicationName('p'),
        signal: new AbortController().signal,
      });
      const asleep = connection.query('select pg_sleep(60)').catch(() => {});
      await eventually(async () => {
        const [row] = await server.query(
          database,
          `select count(*)::int as asleep from pg_stat_activity where query like '%pg_sleep(60)%' and state = 'active'
           and datname = current_database() and pid <> pg_backend_pid()`,
        );
        return row?.['asleep'] === 1;
      });
      connection.destroy('killed');
      await asleep;
      await using destination = await openDestination(server.url(database));
      await using session = await destination.openSession('p', exclusive);
      expect(session.epoch).toBe(1);
    });
  },
  [17],
);
