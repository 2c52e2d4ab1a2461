// One database under two addresses: over TCP as the source, over the socket as the destination.
import { expect, test } from 'vitest';

import { expectExit } from '../support/exit.ts';
import { runForebay } from '../support/process.ts';
import { describeEachServer } from '../support/shared-servers.ts';

const SETUP = `create table orders (id int primary key); insert into orders values (1), (2)`;

describeEachServer(
  'one database under two addresses',
  (server) => {
    test.each([['copy'], ['replicate', '--until-caught-up'], ['plan']])(
      '%s does not write it onto itself',
      async (command, ...options) => {
        const database = await server.createDatabase();
        await server.query(database, SETUP);
        const systems = [server.url(database), server.socketUrl(database)];
        const exit = await runForebay([command, ...systems, ...options]);
        expectExit(exit, 2);
        expect(exit.stderr).toContain('same_system');
        expect(await server.query(database, 'select id from orders order by id')).toEqual([
          { id: 1 },
          { id: 2 },
        ]);
        expect(
          await server.query(
            database,
            'select slot_name from pg_replication_slots where database = current_database()',
          ),
        ).toEqual([]);
        await server.dropDatabase(database);
      },
    );

    test('another schema of it can be a destination', async () => {
      const database = await server.createDatabase();
      await server.query(database, SETUP);
      const systems = [server.url(database), server.socketUrl(database)];
      expectExit(await runForebay(['copy', ...systems, '--schema', 'copies']), 0);
      expect(await server.query(database, 'select id from copies.orders order by id')).toEqual([
        { id: 1 },
        { id: 2 },
      ]);
      await server.dropDatabase(database);
    });

    test('another database of the server is another system', async () => {
      const [one, two] = [await server.createDatabase(), await server.createDatabase()];
      await server.query(one, SETUP);
      expectExit(await runForebay(['copy', server.url(one), server.socketUrl(two)]), 0);
      await server.dropDatabase(one);
      await server.dropDatabase(two);
    });
  },
  [15, 18],
);
