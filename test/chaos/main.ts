// `npm run chaos -- --seed N --minutes M [--pair pg-pg|pg-duckdb] [--load upsert|append|replace] [--server 15|17|18]
// [--ddl none|additive|all] [--unique]`: a seeded random run of changes by several writers, schema changes, kills, crashes of
// the servers and broken connections. Prints its seed and every action; exit 1 when contents differ.
import process, { argv, env, stdout } from 'node:process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { z } from 'zod';

import { freshSeed } from '../support/random.ts';
import { runDirVariable } from '../support/server-binaries.ts';
import { availableServers, startServer } from '../support/servers.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { ChaosRound } from './round.ts';

const optionsSchema = z.object({
  seed: z.coerce.number().int(),
  minutes: z.coerce.number().positive(),
  pair: z.enum(['pg-pg', 'pg-duckdb']),
  load: z.enum(['upsert', 'append', 'replace']),
  server: z.string(),
  ddl: z.enum(['none', 'additive', 'all']),
  /** The destination has a table of the user's own, whose unique values are checked at once. */
  unique: z.boolean(),
});

/** The servers' settings: two phases, and transactions that are sent before they end. */
const SETTINGS = { max_prepared_transactions: '20', logical_decoding_work_mem: '64kB' };

function readOptions(): z.infer<typeof optionsSchema> {
  const { values } = parseArgs({
    args: argv.slice(2),
    options: {
      seed: { type: 'string', default: String(freshSeed()) },
      minutes: { type: 'string', default: '1' },
      pair: { type: 'string', default: 'pg-pg' },
      load: { type: 'string', default: 'upsert' },
      server: { type: 'string', default: '18' },
      ddl: { type: 'string', default: '' },
      unique: { type: 'boolean', default: false },
    },
  });
  // A history's tables would be read again after some changes, which the log of changes does not tell.
  const ddl = values.ddl === '' ? (values.load === 'append' ? 'none' : 'additive') : values.ddl;
  return optionsSchema.parse({ ...values, ddl });
}

function say(line: string): void {
  stdout.write(`${new Date().toISOString().slice(11, 23)} ${line}\n`);
}

async function main(): Promise<void> {
  const options = readOptions();
  const { seed, minutes, pair, load, server: major, ddl, unique } = options;
  say(`seed ${seed}, ${minutes} min, ${pair}, ${load}, ddl ${ddl}, PostgreSQL ${major}`);
  const spec = availableServers().find((candidate) => String(candidate.major) === major);
  if (spec === undefined) throw new Error(`no PostgreSQL ${major}: run \`npm run test:setup\``);
  const runDir = mkdtempSync(join(tmpdir(), 'fb-chaos-'));
  env[runDirVariable] = runDir;
  const until = performance.now() + minutes * 60_000;
  try {
    await using source = await startServer(spec, { settings: SETTINGS });
    await using target = pair === 'pg-pg' ? await startServer(spec) : null;
    await using sourceProxy = await startFaultProxy(source.port);
    await using targetProxy = target === null ? null : await startFaultProxy(target.port);
    for (let round = 0; performance.now() < until; round += 1) {
      say(`round ${round}`);
      // Each its own choices, so that they do not depend on how many steps the round before came to.
      await using chaos = await ChaosRound.create(
        {
          seed: seed * 1000 + round,
          load,
          ddl,
          unique,
          kind: pair === 'pg-pg' ? 'postgres' : 'duckdb',
        },
        { source, target, sourceProxy, targetProxy, say },
      );
      await chaos.run(until);
    }
    say('equal');
  } catch (error) {
    say(`FAILED: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    say(
      `replay: npm run chaos -- --seed ${seed} --minutes ${minutes} --pair ${pair} --load ${load} --server ${major} --ddl ${ddl}${unique ? ' --unique' : ''}`,
    );
    process.exitCode = 1;
  } finally {
    rmSync(runDir, { recursive: true, force: true });
  }
}

await main();
