// A workload that goes on while other things happen.
import { setTimeout as delay } from 'node:timers/promises';

import pg from 'pg';

import type { ServerConnection } from './server-connection.ts';
import { perform, type Workload, type WorkloadStep } from './workload.ts';

const PAUSE_MS = 4;

export interface LiveWriter extends AsyncDisposable {
  /** Rejects when a step failed; settles when the writer has ended. */
  readonly ended: Promise<void>;
  /** Ends after the step under way; throws what a step threw. */
  stop(): Promise<void>;
}

/** As applications do, a step that lost a deadlock is done again. */
async function performAgain(client: pg.Client, step: WorkloadStep): Promise<void> {
  for (;;) {
    try {
      await perform(client, step);
      return;
    } catch (error) {
      if (!(error instanceof pg.DatabaseError) || error.code !== '40P01') throw error;
      await client.query('rollback');
    }
  }
}

export async function startWriter(
  server: ServerConnection,
  database: string,
  workload: Workload,
): Promise<LiveWriter> {
  const client = await server.connect(database);
  let going = true;
  const write = async (): Promise<void> => {
    while (going) {
      await performAgain(client, workload.next());
      await delay(PAUSE_MS);
    }
  };
  const writeAndEnd = async (): Promise<void> => {
    try {
      await write();
    } finally {
      await client.end();
    }
  };
  const ended = writeAndEnd();
  // Told to whoever awaits it.
  ended.catch(() => {});
  const stop = async (): Promise<void> => {
    going = false;
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
