import { expect, test } from 'vitest';

import { startServer } from '../support/servers.ts';
import { describeEachServer, describeWithServer } from '../support/shared-servers.ts';

describeEachServer('shared server', (server) => {
  test('is the major asked for, with logical decoding on', async () => {
    const database = await server.createDatabase();
    const [row] = await server.query(
      database,
      `select current_setting('server_version_num')::int / 10000 as major,
              current_setting('wal_level') as wal_level`,
    );
    expect(row).toEqual({ major: server.major, wal_level: 'logical' });
  });

  test('refuses a wrong password', async () => {
    const wrong = server.url('postgres').replace(server.password, 'wrong');
    const { default: pg } = await import('pg');
    const client = new pg.Client({ connectionString: wrong });
    await expect(client.connect()).rejects.toMatchObject({ code: '28P01' });
  });

  test('answers on its Unix socket', async () => {
    const { default: pg } = await import('pg');
    const { socketDir, port, password } = server;
    const client = new pg.Client({ host: socketDir, port, user: 'postgres', password });
    await client.connect();
    const { rows } = await client.query('select inet_client_addr() as address');
    await client.end();
    expect(rows).toEqual([{ address: null }]);
  });
});

describeWithServer('private server', 17, (spec) => {
  test('keeps committed rows over a crash and takes other settings', async () => {
    await using server = await startServer(spec, { settings: { wal_level: 'replica' } });
    const database = await server.createDatabase();
    await server.query(database, 'create table t as select 1 as id');
    const before = server.pid;
    server.configure({ wal_level: 'logical' });
    await server.restart('immediate');
    const [row] = await server.query(
      database,
      `select id, current_setting('wal_level') as wal_level from t`,
    );
    expect(row).toEqual({ id: 1, wal_level: 'logical' });
    expect(server.pid).not.toBe(before);
  });
});
