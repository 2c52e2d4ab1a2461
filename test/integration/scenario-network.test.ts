// Servers and connections that go away. Each test's number is that of the scenario in docs/scoreboard.md.
import pg from 'pg';
import { describe, expect, test } from 'vitest';

import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { findServer, startServer } from '../support/servers.ts';
import { describeEachServer } from '../support/shared-servers.ts';
import { createPipeline, expectCompleted, type TestPipeline } from '../support/test-pipeline.ts';
import { eventually } from '../support/wait.ts';

const setup = `create table orders (id int primary key, note text); insert into orders select i, 'n' || i from generate_series(1, 20) i`;
const inChanges = ({ event, ...rest }: { event: string }) =>
  event === 'phase' && (rest as { phase?: string }).phase === 'changes';

/** Bytes that one connection costs until it can be asked something. */
async function measureContact(pipeline: TestPipeline, proxy: FaultProxy): Promise<number> {
  const url = pipeline.urls.find((one) => new URL(one).port === String(proxy.port)) ?? '';
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const bytes = proxy.passed.toClient;
  await client.end();
  return bytes;
}

describeEachServer(
  'network',
  (server) => {
    describe.each(['source', 'destination'] as const)('%s', (side) => {
      test('10 connections cut and refused for a while: tells, tries again, goes on', async () => {
        await using proxy = await startFaultProxy(server.port);
        await using pipeline = await createPipeline(server, {
          setup,
          ...(side === 'source' ? { sourcePort: proxy.port } : { destinationPort: proxy.port }),
        });
        await using running = pipeline.start();
        await running.waitForEvent(inChanges);
        for (const fault of ['reset', 'cut'] as const) {
          const known = running.events.length;
          proxy[fault]();
          await pipeline.sql(
            `insert into orders values ((select max(id) + 1 from orders), '${fault}')`,
          );
          await running.waitForEvent(
            (event) => event.event === 'retry' && running.events.indexOf(event) >= known,
          );
          proxy.heal();
          await eventually(
            async () => {
              await pipeline.expectEqual();
              return true;
            },
            { timeoutMs: 40_000, intervalMs: 100 },
          );
        }
      });

      test.each([1, 2, 3])('10 a start that is cut off is tried again, place %i', async (place) => {
        await using proxy = await startFaultProxy(server.port);
        await using pipeline = await createPipeline(server, {
          setup,
          ...(side === 'source' ? { sourcePort: proxy.port } : { destinationPort: proxy.port }),
        });
        const contact = await measureContact(pipeline, proxy);
        proxy.cutAfter(contact + place * 1200, 'toClient');
        const exit = await pipeline.catchUp();
        expectCompleted(exit);
        expect(exit.stderr).toContain('"event":"retry"');
        await pipeline.expectEqual();
      });

      test('11 black hole: noticed within a minute, connected again, nothing lost', async () => {
        await using proxy = await startFaultProxy(server.port);
        await using pipeline = await createPipeline(server, {
          setup,
          ...(side === 'source' ? { sourcePort: proxy.port } : { destinationPort: proxy.port }),
        });
        await using running = pipeline.start();
        await running.waitForEvent(inChanges);
        await pipeline.sql(`insert into orders values (500, 'before')`);
        await running.waitForEvent(({ event }) => event === 'checkpoint');
        proxy.blackhole();
        await pipeline.sql(`insert into orders values (501, 'unheard')`);
        await running.waitForEvent(({ event }) => event === 'retry', { timeoutMs: 60_000 });
        proxy.heal();
        await eventually(
          async () => {
            await pipeline.expectEqual();
            return true;
          },
          { timeoutMs: 60_000, intervalMs: 200 },
        );
      });
    });
  },
  [17],
);

describeEachServer(
  'restart',
  (shared) => {
    test('10 the source crashes and starts again under a run: goes on', async () => {
      const spec = findServer(shared.major);
      if (spec === null) throw new Error('the server went away');
      await using server = await startServer(spec);
      await using pipeline = await createPipeline(server, { setup, destinationServer: shared });
      await using running = pipeline.start();
      await running.waitForEvent(inChanges);
      await pipeline.sql(`insert into orders values (600, 'before the crash')`);
      await server.restart('immediate');
      await server.query(pipeline.source, `insert into orders values (601, 'after the crash')`);
      await eventually(
        async () => {
          await pipeline.expectEqual();
          return true;
        },
        { timeoutMs: 60_000, intervalMs: 200 },
      );
      running.kill('SIGTERM');
      expect((await running.exit).code).toBe(0);
    });
  },
  [15, 17, 18],
);
