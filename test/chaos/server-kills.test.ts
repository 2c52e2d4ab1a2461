// The control plane in its three shapes under work that never stops, its processes killed at random, at the start and
// in the middle of anything: every execution ends, every schedule comes once for each of its times, no effect is there
// twice, nothing is lost. FOREBAY_CHAOS_KILLS says how many kills, of each process; FOREBAY_CHAOS_SEED replays choices.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { env } from 'node:process';

import { describe, test } from 'vitest';

import { startServerProcess } from '../support/control-server.ts';
import { startMortal } from '../support/mortal-process.ts';
import { freePort } from '../support/ports.ts';
import { freshSeed, type Random, seededRandom } from '../support/random.ts';
import { expectOnce, ServerWork, type ServerShape } from '../support/server-work.ts';
import { sharedServer } from '../support/shared-servers.ts';
import { findTemporal, startTemporal } from '../support/temporal-server.ts';

const kills = Number(env['FOREBAY_CHAOS_KILLS'] ?? 3);
const SHAPES: readonly ServerShape[] = [
  'one process',
  'two servers on one PostgreSQL',
  ...(findTemporal() === null ? [] : (['a server and two workers of Temporal'] as const)),
];
const server = sharedServer(17);

interface Member {
  readonly command: 'server' | 'worker';
  readonly port: number;
}

async function membersOf(shape: ServerShape): Promise<readonly Member[]> {
  const port = await freePort();
  const first = { command: 'server', port } as const;
  if (shape === 'one process') return [first];
  if (shape === 'two servers on one PostgreSQL')
    return [first, { command: 'server', port: await freePort() }];
  const worker = { command: 'worker', port: 0 } as const;
  return [first, worker, worker];
}

describe.skipIf(server === null)('a control plane that is killed again and again', () => {
  if (server === null) return;
  test.each(SHAPES)(
    `${kills} times each process, as %s, ends all that it began, once`,
    { timeout: 180_000 + kills * 15_000 },
    async (shape) => {
      const seed = Number(env['FOREBAY_CHAOS_SEED'] ?? freshSeed());
      console.log(`server kills (${shape}): FOREBAY_CHAOS_SEED=${seed}`);
      const random: Random = seededRandom(seed);
      const folder = mkdtempSync(join(tmpdir(), 'fb-server-kills-'));
      const dataDir = join(folder, 'data');
      await using cluster = shape.includes('Temporal')
        ? await startTemporal(['platform-etl'])
        : null;
      const metadata = shape === 'one process' ? null : await server.createDatabase();
      const environment = {
        FOREBAY_SECRET_KEY: Buffer.alloc(32, 7).toString('base64'),
        ...(metadata === null ? {} : { FOREBAY_DATABASE_URL: server.url(metadata) }),
        ...(cluster === null ? {} : { FOREBAY_TEMPORAL_ADDRESS: cluster.address }),
      };
      const work = await ServerWork.create({ server, folder, metadata, kills });
      {
        await using first = await startServerProcess(['--data-dir', dataDir], environment);
        await work.setUp(first);
      }
      const members = await membersOf(shape);
      const ports = members.flatMap(({ command, port }) => (command === 'server' ? [port] : []));
      {
        const processes = members.map(({ command, port }) =>
          startMortal(
            [
              command,
              '--data-dir',
              dataDir,
              ...(command === 'server' ? ['--port', String(port), '--grpc-port', '0'] : []),
            ],
            environment,
            { random, deaths: kills },
          ),
        );
        await using stack = new AsyncDisposableStack();
        for (const process of processes) stack.use(process);
        await work.goOn({
          ports,
          random,
          until: () => processes.every(({ deaths }) => deaths() >= kills),
          output: () => processes.map(({ output }) => output()).join('\n'),
        });
        for (const process of processes) await process.spare();
        await work.settle(ports);
        console.log(
          `server kills (${shape}): ${processes.map(({ deaths }) => deaths()).join(' + ')} deaths, ${work.acknowledged()} executions by hand`,
        );
      }
      await expectOnce(work);
      rmSync(folder, { recursive: true });
    },
  );
});
