// The edges of the process: signals while nothing comes, streams that cannot be written, systems that do not answer.
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { expectExit } from '../support/exit.ts';
import { runForebay, startForebay } from '../support/process.ts';
import { describeEachServer } from '../support/shared-servers.ts';
import { createPipeline } from '../support/test-pipeline.ts';

describeEachServer(
  'a run at its edges',
  (server) => {
    test('a pipeline that follows and has nothing to do ends with 0', async () => {
      await using pipeline = await createPipeline(server, {
        setup: 'create table t (id int primary key)',
      });
      await pipeline.caughtUp();
      await using running = pipeline.start();
      await running.waitForEvent((event) => event['phase'] === 'changes');
      running.kill('SIGTERM');
      const exit = await running.exit;
      expectExit(exit, 0);
      expect(exit.result).toMatchObject({ status: 'stopped', error: null });
    });

    test('a destination where nothing may be made: the statement that mends it is shown', async () => {
      const source = await server.createDatabase();
      const target = await server.createDatabase();
      const role = `bare_${target}`;
      await server.query(source, 'create table t (id int primary key)');
      await server.query(target, `create role ${role} login password 'pw'`);
      const url = server.url(target).replace(`postgres:${server.password}`, `${role}:pw`);
      const exit = await runForebay(['copy', server.url(source), url, '--json']);
      expectExit(exit, 4);
      expect(exit.result?.error).toMatchObject({
        code: 'privilege_missing',
        fix: `GRANT CREATE ON DATABASE "${target}" TO "${role}";`,
      });
      await server.query(target, `drop role ${role}`);
    });

    test('a temporary folder that is not there is named when a transaction needs it', async () => {
      await using pipeline = await createPipeline(server, {
        setup: 'create table t (id int primary key, body text)',
        settings: { logical_decoding_work_mem: '64kB' },
      });
      await pipeline.caughtUp();
      await pipeline.sql(
        `insert into t select i, repeat(md5(i::text), 10) from generate_series(1, 20000) i`,
      );
      const exit = await runForebay(
        ['replicate', ...pipeline.urls, '--name', pipeline.name, '--json', '--until-caught-up'],
        { env: { TMPDIR: join(tmpdir(), 'no-such-folder') } },
      );
      expectExit(exit, 1);
      expect(exit.result?.error).toMatchObject({ code: 'spill_folder' });
      await pipeline.caughtUp();
      await pipeline.expectEqual();
    });
  },
  [17],
);

describe('a server that takes the connection and says nothing', () => {
  test.each(['check', 'discover', 'copy', 'plan'])(
    '%s ends at the first Ctrl-C with 130',
    async (command) => {
      const silent = createServer(() => {}).listen(0, '127.0.0.1');
      await once(silent, 'listening');
      const address = silent.address();
      const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
      const url = `postgres://ada:secret@127.0.0.1:${port}/shop?connect_timeout=600`;
      const systems = ['copy', 'plan'].includes(command) ? [url, 'duckdb::memory:'] : [url];
      await using running = startForebay([command, ...systems], { timeoutMs: 30_000 });
      const [socket] = (await once(silent, 'connection')) as [Socket];
      running.kill('SIGINT');
      expectExit(await running.exit, 130);
      socket.destroy();
      silent.close();
    },
  );
});
