// Slots of a test's database: what keeps it from being dropped, and what somebody may drop by hand.
import type { ServerConnection } from './server-connection.ts';
import { eventually } from './wait.ts';

/**
 * Drops every slot of the databases and returns their names. A walsender holds its slot for some moments after
 * its client has gone, in which the slot cannot be dropped: it is ended, and waited for.
 */
export async function dropSlots(
  server: Pick<ServerConnection, 'query'>,
  ...databases: readonly string[]
): Promise<readonly string[]> {
  const dropped = new Set<string>();
  await eventually(
    async () => {
      const slots = await server.query(
        'postgres',
        `select slot_name, pg_terminate_backend(active_pid) from pg_replication_slots where database = any($1)`,
        [databases],
      );
      for (const { slot_name: slot } of slots) {
        await server.query('postgres', 'select pg_drop_replication_slot($1)', [slot]);
        dropped.add(String(slot));
      }
      return true;
    },
    { timeoutMs: 60_000, intervalMs: 100 },
  );
  return [...dropped];
}
