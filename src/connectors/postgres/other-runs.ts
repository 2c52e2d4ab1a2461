/** Connections of earlier runs of a pipeline: one that hangs keeps its locks until it is ended. */
import type { PgConnection } from './connection.ts';

/** The server cuts names at 63 bytes. */
const MAX_NAME_BYTES = 63;

export function runApplicationName(pipeline: string): string {
  return Buffer.from(`forebay run ${pipeline}`).subarray(0, MAX_NAME_BYTES).toString();
}

/** How long the server is waited for until it has rolled back what was under way. */
const END_WITHIN_MS = 10_000;
const POLL_MS = 20;

/** Ends other connections of this name and user; whose run they were sees that its place was taken. */
export async function endOtherRuns(
  connection: PgConnection,
  applicationName: string,
): Promise<void> {
  const others = `FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()
    AND usename = current_user AND pid <> pg_backend_pid()`;
  const until = performance.now() + END_WITHIN_MS;
  for (;;) {
    const { rows } = await connection.query(`SELECT pg_terminate_backend(pid) ${others}`, [
      applicationName,
    ]);
    if (rows.length === 0 || performance.now() > until) return;
    await connection.query('SELECT pg_sleep($1::float8)', [String(POLL_MS / 1000)]);
  }
}
