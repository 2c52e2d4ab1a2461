// Positions that are lost or in danger. Each test's number is that of the scenario in docs/scoreboard.md.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import pg from 'pg';
import { expect, test } from 'vitest';

import { describeEachServer, describeWithServer } from '../support/shared-servers.ts';
import { startServer } from '../support/servers.ts';
import { createPipeline, type TestPipeline } from '../support/test-pipeline.ts';
import { eventually } from '../support/wait.ts';

const setup = `create table orders (id int primary key, note text); insert into orders select i, 'n' || i from generate_series(1, 20) i`;

/** Exit 7 with the cause and the way out, the destination as it was, and no new slot. */
async function expectLost(pipeline: TestPipeline, why: RegExp): Promise<void> {
  const before = (await pipeline.contents()).destination;
  const slots = (await pipeline.slots()).length;
  const exit = await pipeline.catchUp();
  expect(exit.code, exit.stderr + exit.stdout).toBe(7);
  expect(exit.result?.error?.code).toBe('position_lost');
  expect(exit.result?.error?.message).toMatch(why);
  expect(JSON.stringify(exit.result?.error)).toContain('forebay recover');
  expect((await pipeline.contents()).destination).toEqual(before);
  expect(await pipeline.slots()).toHaveLength(slots);
}

/** Recover brings both sides together, and the pipeline goes on from there. */
async function expectRecovered(pipeline: TestPipeline): Promise<void> {
  const exit = await pipeline.command('recover', '--json');
  expect(exit.code, exit.stderr + exit.stdout).toBe(0);
  await pipeline.expectEqual();
  await pipeline.caughtUp();
  await pipeline.expectEqual();
}

describeEachServer('slot', (server) => {
  test('14 slot dropped by hand: halts, names the slot and the last position', async () => {
    await using pipeline = await createPipeline(server, { setup });
    const { position } = (await pipeline.caughtUp()) as unknown as { position: { to: string } };
    await pipeline.loseSlot();
    await pipeline.sql(`insert into orders values (100, 'unseen')`);
    await expectLost(
      pipeline,
      new RegExp(`${position.to.replace('/', '\\/')}.*forebay_${pipeline.name}.*does not exist`),
    );
  });

  test('14 slot dropped and made anew by hand: halts, never starts at its head', async () => {
    await using pipeline = await createPipeline(server, { setup });
    await pipeline.caughtUp();
    const slot = await pipeline.loseSlot();
    await pipeline.sql(`insert into orders values (100, 'unseen')`);
    await pipeline.sql(`select pg_create_logical_replication_slot('${slot}', 'pgoutput')`);
    await expectLost(pipeline, /moved on|made anew/);
  });
});

describeEachServer(
  'slot in use',
  (server) => {
    test('16 slot in use by a foreign process: says who, ends nobody', async () => {
      await using pipeline = await createPipeline(server, { setup });
      await pipeline.caughtUp();
      const holder = new pg.Client({
        connectionString: `${server.url(pipeline.source)}?replication=database&application_name=somebody`,
      });
      holder.on('error', () => {});
      await holder.connect();
      const slot = `forebay_${pipeline.name}`;
      holder
        .query(
          `START_REPLICATION SLOT ${slot} LOGICAL 0/0 (proto_version '1', publication_names '${slot}')`,
        )
        .catch(() => {});
      const pid = await eventually(
        async () => (await pipeline.slots())[0]?.['active_pid'] as number | null,
      );
      const exit = await pipeline.catchUp();
      expect(exit.code, exit.stderr).toBe(3);
      expect(exit.result?.error?.code).toBe('slot_in_use');
      expect(exit.result?.error?.message).toContain(String(pid));
      expect(exit.result?.error?.message).toContain('somebody');
      expect((await pipeline.slots())[0]?.['active_pid']).toBe(pid);
      await holder.end();
      await eventually(async () => (await pipeline.slots())[0]?.['active'] === false);
      await pipeline.caughtUp();
      await pipeline.expectEqual();
    });

    test('19 idle database, busy neighbour: the slot moves on', async () => {
      await using pipeline = await createPipeline(server, {
        setup,
        args: ['--set', 'postgres.heartbeat-ms=200'],
      });
      await using neighbour = await createPipeline(server, { setup });
      await pipeline.caughtUp();
      const [before] = await pipeline.slots();
      await using running = pipeline.start();
      await running.waitForEvent(
        ({ event, ...rest }) => event === 'phase' && rest['phase'] === 'changes',
      );
      await neighbour.sql(
        `insert into orders select i, repeat('x', 500) from generate_series(1000, 4000) i`,
      );
      const [{ lsn } = {}] = await neighbour.sql('select pg_current_wal_lsn()::text as lsn');
      await eventually(
        async () => {
          const [row] = await server.query(
            'postgres',
            'select confirmed_flush_lsn > $2::pg_lsn as moved from pg_replication_slots where slot_name = $1',
            [before?.['slot_name'], lsn],
          );
          return row?.['moved'] === true;
        },
        { timeoutMs: 30_000, intervalMs: 200 },
      );
    });
  },
  [17],
);

describeWithServer('servers', 18, (spec) => {
  test('15 the server invalidates a slot that nobody read for long: halts, says so, and recovers', async () => {
    await using server = await startServer(spec, {
      settings: { idle_replication_slot_timeout: '1s' },
    });
    await using pipeline = await createPipeline(server, { setup });
    await pipeline.caughtUp();
    await pipeline.sql(`insert into orders values (100, 'unseen')`);
    await eventually(
      async () => {
        await server.query('postgres', 'checkpoint');
        return (await pipeline.slots())[0]?.['invalidation_reason'] === 'idle_timeout';
      },
      { timeoutMs: 30_000, intervalMs: 500 },
    );
    await expectLost(pipeline, /invalidated.*idle_timeout/);
    await expectRecovered(pipeline);
  });
});

describeWithServer('servers', 17, (spec) => {
  test('13 failover: another timeline halts with position_lost', async () => {
    await using server = await startServer(spec);
    await using pipeline = await createPipeline(server, { setup });
    await pipeline.caughtUp();
    await pipeline.client.end();
    await server.stop();
    writeFileSync(join(server.dataDir, 'standby.signal'), '');
    await server.start();
    await server.query('postgres', 'select pg_promote()');
    await expectLost(pipeline, /timeline/);
    await server.query(pipeline.source, `insert into orders values (200, 'on the new timeline')`);
    await expectRecovered(pipeline);
  });

  test('13 failover: another server under the same address halts with position_lost', async () => {
    await using first = await startServer(spec);
    await using second = await startServer(spec);
    await using pipeline = await createPipeline(first, { setup, destinationServer: second });
    await pipeline.caughtUp();
    await using other = await createPipeline(second, { setup });
    const moved = await pipeline.runWithSource(other.urls[0]);
    expect(moved.code, moved.stderr + moved.stdout).toBe(7);
    expect(moved.result?.error?.message).toMatch(/system identifier/);
  });

  test('15 slot invalidated: halts with the cause; the check warns of the setting before', async () => {
    await using server = await startServer(spec, {
      settings: { max_slot_wal_keep_size: '1MB', min_wal_size: '32MB', max_wal_size: '64MB' },
    });
    await using pipeline = await createPipeline(server, { setup });
    const first = await pipeline.catchUp();
    expect(first.stderr).toContain('max_slot_wal_keep_size');
    for (let i = 0; i < 4; i += 1) {
      await pipeline.sql(
        `insert into orders select i, repeat('x', 300) from generate_series(${1000 + i * 20_000}, ${20_000 + i * 20_000}) i on conflict do nothing; select pg_switch_wal(); checkpoint`,
      );
    }
    await eventually(async () => (await pipeline.slots())[0]?.['wal_status'] === 'lost');
    await expectLost(pipeline, /invalidated|removed log/);
    await pipeline.sql(
      `delete from orders where id = 3; update orders set note = 'unheard' where id = 4`,
    );
    await expectRecovered(pipeline);
  });

  test('17 the log that a slot may keep runs out: told before it does', async () => {
    await using server = await startServer(spec, { settings: { max_slot_wal_keep_size: '48MB' } });
    await using pipeline = await createPipeline(server, { setup });
    await pipeline.caughtUp();
    await pipeline.sql(
      `insert into orders select i, repeat('x', 500) from generate_series(1000, 70000) i; select pg_switch_wal()`,
    );
    const exit = await pipeline.catchUp();
    expect(exit.code, exit.stderr).toBe(0);
    expect(exit.stderr).toMatch(/"event":"notice"[^\n]*(wal|log|retention)/i);
    await pipeline.expectEqual();
  });
});
