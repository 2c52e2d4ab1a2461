// Workloads that go on while other things happen, also while the server is down.
import { setTimeout as delay } from 'node:timers/promises';

import pg from 'pg';

import { type Random, seededRandom } from './random.ts';
import type { DisposableClient, ServerConnection } from './server-connection.ts';
import { eventually } from './wait.ts';
import { perform, type Workload, type WorkloadStep } from './workload.ts';

const PAUSE_MS = 8;
const MAX_REFUSALS = 5;
/** Lost deadlocks, and what two writers do to each other; as applications do, the step is done again. */
const TRY_AGAIN = new Set(['40P01', '40001', '23505', '23503', '55P03']);

export interface LiveWriter extends AsyncDisposable {
  /** Rejects when a step failed; settles when the writer has ended. */
  readonly ended: Promise<void>;
  /** Ends after the step under way; throws what a step threw. */
  stop(): Promise<void>;
}

/** A connection that is made anew after its server was stopped. */
class SteadyClient {
  readonly #server: ServerConnection;
  readonly #database: string;
  #client: DisposableClient | null = null;

  constructor(server: ServerConnection, database: string) {
    this.#server = server;
    this.#database = database;
  }

  async open(): Promise<DisposableClient> {
    this.#client ??= await eventually(() => this.#server.connect(this.#database), {
      timeoutMs: 60_000,
    });
    return this.#client;
  }

  /** True when the connection was lost, false when the server refused what it was sent and may be asked again. */
  async lost(error: unknown): Promise<boolean> {
    const refused = error instanceof pg.DatabaseError && !(error.code ?? '').startsWith('57');
    if (refused && !TRY_AGAIN.has(error.code ?? '')) throw error;
    if (refused) return false;
    const client = this.#client;
    this.#client = null;
    await client?.end().catch(() => {});
    return true;
  }

  async close(): Promise<void> {
    await this.#client?.end().catch(() => {});
  }
}

/**
 * A step whose outcome is unknown, because the connection went, is looked up before it is done again. One that
 * what others wrote meanwhile does not allow at all is left out.
 */
async function performSteadily(steady: SteadyClient, step: WorkloadStep): Promise<void> {
  for (let refusals = 0; refusals < MAX_REFUSALS;) {
    try {
      await perform(await steady.open(), step);
      return;
    } catch (error) {
      if (!(await steady.lost(error))) {
        refusals += 1;
        await (await steady.open()).query('rollback').catch(() => {});
        continue;
      }
      if (step.entry === undefined) continue;
      const { rows } = await (
        await steady.open()
      ).query('select from ledger where id = $1', [step.entry]);
      if (rows.length > 0) return;
    }
  }
}

function writer(work: (going: () => boolean) => Promise<void>): LiveWriter {
  let on = true;
  const ended = work(() => on);
  // Told to whoever awaits it.
  ended.catch(() => {});
  const stop = async (): Promise<void> => {
    on = false;
    await ended;
  };
  return {
    ended,
    stop,
    [Symbol.asyncDispose]: async () => {
      await stop().catch(() => {});
    },
  };
}

export function startWriter(
  server: ServerConnection,
  database: string,
  workload: Workload,
): LiveWriter {
  return writer(async (going) => {
    const steady = new SteadyClient(server, database);
    try {
      while (going()) {
        await performSteadily(steady, workload.next());
        await delay(PAUSE_MS);
      }
    } finally {
      await steady.close();
    }
  });
}

export const SLOW_TABLE = 'create table slow (id int primary key, v text, n int)';

/** One transaction that takes its time and ends in one of four ways; `n` makes its rows its own. */
async function slowTransaction(client: DisposableClient, random: Random, n: number): Promise<void> {
  const statements = 1 + random.below(5);
  await client.query('begin');
  for (let i = 0; i < statements; i += 1) {
    await client.query(
      random.pick([
        `insert into slow select ${n * 1000} + i, 'slow', i from generate_series(1, 40) i on conflict do nothing`,
        `update slow set n = n + 1 where id % 7 = ${random.below(7)} and id > ${(n - 5) * 1000}`,
        `update slow set id = -id where id between ${n * 1000 + 1} and ${n * 1000 + 10}`,
        `delete from slow where id < ${(n - 8) * 1000}`,
      ]),
    );
    await delay(random.below(400));
  }
  switch (random.below(4)) {
    case 0:
      await client.query('rollback');
      break;
    case 1:
      await client.query(`prepare transaction 'slow_${n}'`);
      await delay(random.below(500));
      await client.query(`commit prepared 'slow_${n}'`);
      break;
    case 2:
      await client.query(`prepare transaction 'undone_${n}'`);
      await delay(random.below(500));
      await client.query(`rollback prepared 'undone_${n}'`);
      break;
    default:
      await client.query('commit');
  }
}

/** What a stopped server left in two phases is ended as it was meant. */
async function endPrepared(client: DisposableClient): Promise<void> {
  const { rows } = await client.query<{ gid: string }>(
    'select gid from pg_prepared_xacts where database = current_database()',
  );
  for (const { gid } of rows) {
    await client.query(`${gid.startsWith('slow') ? 'commit' : 'rollback'} prepared '${gid}'`);
  }
}

/** Long transactions beside the others, some in two phases; needs `SLOW_TABLE` and max_prepared_transactions. */
export function startSlowWriter(
  server: ServerConnection,
  database: string,
  seed: number,
): LiveWriter {
  return writer(async (going) => {
    const random = seededRandom(seed);
    const steady = new SteadyClient(server, database);
    let n = random.below(1_000_000);
    try {
      while (going()) {
        n += 1;
        try {
          await slowTransaction(await steady.open(), random, n);
        } catch (error) {
          if (!(await steady.lost(error))) await (await steady.open()).query('rollback');
          await endPrepared(await steady.open());
        }
      }
      await endPrepared(await steady.open());
    } finally {
      await steady.close();
    }
  });
}
