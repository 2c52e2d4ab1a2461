// A workload that goes on while other things happen.
import { setTimeout as delay } from 'node:timers/promises';

import type { ServerConnection } from './server-connection.ts';
import { perform, type Workload } from './workload.ts';

const PAUSE_MS = 4;

export interface LiveWriter extends AsyncDisposable {
  /** Ends after the step under way; throws what a step threw. */
  stop(): Promise<void>;
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
      await perform(client, workload.next());
      await delay(PAUSE_MS);
    }
  };
  let failure: unknown = null;
  const writing = write().catch((error: unknown) => {
    failure = error;
  });
  let ended: Promise<void> | null = null;
  const end = (): Promise<void> => {
    going = false;
    ended ??= writing.then(() => client.end());
    return ended;
  };
  return {
    stop: async () => {
      await end();
      if (failure !== null) throw failure;
    },
    [Symbol.asyncDispose]: end,
  };
}
