// Commands that run, as processes: output, exit codes, signals.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { expectExit } from '../support/exit.ts';
import { runForebay, startForebay } from '../support/process.ts';
import { describeEachServer } from '../support/shared-servers.ts';

const scratch = mkdtempSync(join(tmpdir(), 'fb-cli-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describeEachServer(
  'commands',
  (server) => {
    let source: string;

    beforeAll(async () => {
      source = await server.createDatabase();
      await server.query(
        source,
        `create table orders (id int primary key, note text);
         insert into orders select i, 'note ' || i from generate_series(1, 1000) i;
         create table plain (a int); alter table plain replica identity nothing`,
      );
    });

    test('copy --json: events on stderr, one result as the last line of stdout', async () => {
      const exit = await runForebay([
        'copy',
        server.url(source),
        `duckdb:${join(scratch, 'a.duckdb')}`,
        '--json',
      ]);
      expectExit(exit, 0);
      const lines = exit.stderr.trimEnd().split('\n');
      expect(lines).toHaveLength(exit.events.length);
      expect(exit.events[0]?.event).toBe('started');
      expect(exit.events.at(-1)?.event).toBe('stopped');
      expect(exit.stdout.trimEnd().split('\n')).toHaveLength(1);
      const document = exit.json as Record<string, unknown>;
      expect(Object.keys(document)).toEqual([
        'v',
        'pipeline',
        'status',
        'durationMs',
        'streams',
        'position',
        'lagMs',
        'error',
      ]);
      const orders = exit.result?.streams.find(({ stream }) => stream === 'public.orders');
      expect(orders).toMatchObject({ phase: 'snapshot', read: 1000, applied: 1000, paused: null });
    });

    test('copy for people: a table on stdout, no escape sequences in a pipe', async () => {
      const exit = await runForebay([
        'copy',
        server.url(source),
        `duckdb:${join(scratch, 'b.duckdb')}`,
      ]);
      expectExit(exit, 0);
      expect(exit.stdout).toMatch(/^stream +phase +read +applied/);
      expect(exit.stdout).toMatch(/public\.orders +snapshot +1,000 +1,000/);
      expect(exit.stdout + exit.stderr).not.toContain('\u001B');
    });

    test('env:NAME keeps the URL out of argv', async () => {
      const exit = await runForebay(['discover', 'env:SHOP_URL', '-o', 'json'], {
        env: { SHOP_URL: server.url(source) },
      });
      expectExit(exit, 0);
      expect(exit.json).toMatchObject({
        v: 1,
        streams: [{ stream: 'public.orders', key: ['id'] }, { stream: 'public.plain' }],
      });
    });

    test('check: each step, exit 0', async () => {
      const exit = await runForebay(['check', server.url(source), '--as', 'source', '-o', 'json']);
      expectExit(exit, 0);
      expect(exit.json).toMatchObject({ v: 1, roles: [{ role: 'source' }] });
    });

    test('plan touches nothing and tells by its exit code what a run would do', async () => {
      const file = join(scratch, 'plan.duckdb');
      const args = ['plan', server.url(source), `duckdb:${file}`, '--streams', 'public.orders'];
      const plain = await runForebay([...args, '-o', 'json']);
      expectExit(plain, 0);
      expect(plain.json).toMatchObject({
        v: 1,
        streams: [{ stream: 'public.orders', exists: false }],
      });
      expect((await runForebay([...args, '--detailed-exitcode'])).code).toBe(2);
      const [slots] = await server.query(
        source,
        'select count(*)::int as n from pg_replication_slots where database = current_database()',
      );
      expect(slots).toEqual({ n: 0 });
    });

    test('plan promises of each stream what its kind allows', async () => {
      const exit = await runForebay([
        'plan',
        server.url(source),
        `duckdb:${join(scratch, 'plan.duckdb')}`,
        '-o',
        'json',
      ]);
      expect(exit.json).toMatchObject({
        streams: [
          { stream: 'public.orders', delivery: 'effectively once' },
          { stream: 'public.plain', delivery: 'paused: no key to follow changes by' },
        ],
      });
    });

    test('replicate: SIGTERM drains and ends with 0; the same command resumes; drop removes', async () => {
      const args = [
        server.url(source),
        `duckdb:${join(scratch, 'c.duckdb')}`,
        '--streams',
        'public.orders',
      ];
      {
        await using running = startForebay(['replicate', ...args, '--json']);
        await running.waitForEvent(
          ({ event, ...rest }) => event === 'phase' && rest['phase'] === 'changes',
        );
        running.kill('SIGTERM');
        const exit = await running.exit;
        expectExit(exit, 0);
        expect(exit.result?.status).toBe('stopped');
      }
      await server.query(source, `insert into orders values (5000, 'late')`);
      const again = await runForebay(['replicate', ...args, '--until-caught-up', '--json']);
      expectExit(again, 0);
      expect(again.result).toMatchObject({
        status: 'completed',
        streams: [{ stream: 'public.orders', phase: 'changes', read: 1, applied: 1 }],
      });
      const refused = await runForebay(['drop', ...args]);
      expect(refused.code).toBe(2);
      expect(refused.stderr).toContain('confirmation_missing');
      const dropped = await runForebay(['drop', ...args, '--yes', '-o', 'json']);
      expectExit(dropped, 0);
      const [slots] = await server.query(
        source,
        'select count(*)::int as n from pg_replication_slots where database = current_database()',
      );
      expect(slots).toEqual({ n: 0 });
    });

    test('a stream that cannot be followed is paused and the run ends with 5', async () => {
      const args = [
        server.url(source),
        `duckdb:${join(scratch, 'd.duckdb')}`,
        '--until-caught-up',
        '--json',
      ];
      const exit = await runForebay(['replicate', ...args]);
      expectExit(exit, 5);
      const plain = exit.result?.streams.find(({ stream }) => stream === 'public.plain');
      expect(plain?.paused).toMatchObject({ code: 'no_key', fix: expect.any(String) });
      const orders = exit.result?.streams.find(({ stream }) => stream === 'public.orders');
      expect(orders?.paused).toBeNull();
      await runForebay(['drop', ...args.slice(0, 2), '--yes']);
    });

    test('two signals end it at once with 130', async () => {
      await using running = startForebay(
        ['copy', server.url(source), `duckdb:${join(scratch, 'e.duckdb')}`, '--json'],
        { env: { FOREBAY_FAILPOINTS: 'snapshot.beforeChunk=hang' } },
      );
      await running.waitForEvent(({ event }) => event === 'started');
      running.kill('SIGINT');
      running.kill('SIGTERM');
      expect((await running.exit).code).toBe(130);
    });
  },
  [17],
);

describe('demo', () => {
  test('ends by itself, with identical content, and leaves no process behind', async () => {
    const exit = await runForebay(['demo', '--seconds', '3', '--rows', '20000', '--json']);
    expectExit(exit, 0);
    expect(exit.json).toMatchObject({ v: 1, identical: true });
  });
});
