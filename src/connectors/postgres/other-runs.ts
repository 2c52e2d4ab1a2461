/** Connections of earlier runs of a pipeline: one that hangs keeps its locks until it is ended. */
import { ForebayError } from '../../core/errors.ts';
import type { PgConnection } from './connection.ts';

/** The server cuts names at 63 bytes. */
const MAX_NAME_BYTES = 63;

export function runApplicationName(pipeline: string): string {
  return Buffer.from(`forebay run ${pipeline}`).subarray(0, MAX_NAME_BYTES).toString();
}

/** A run that does nothing else asks for its epoch every five seconds. */
const ALIVE_SECONDS = 20;
/** How long one that is ending, or whose process is just gone, is waited for. */
const CLEAR_WITHIN_MS = 3000;

/** Of a connection that waits until the pipeline is its own. */
export function waitingApplicationName(pipeline: string): string {
  return Buffer.from(`forebay waits ${pipeline}`).subarray(0, MAX_NAME_BYTES).toString();
}

/** Connections of this name and user, but the one that asks. */
const OTHERS = `FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()
    AND usename = current_user AND pid <> pg_backend_pid()`;

const ALIVE = `(state = 'active' OR state_change > now() - make_interval(secs => ${ALIVE_SECONDS}))`;

/** Process of another run that is at work; null if there is none, or one that hangs or was cut off. */
async function findAlive(
  connection: PgConnection,
  applicationName: string,
): Promise<string | null> {
  const { rows } = await connection.query(`SELECT pid::text ${OTHERS} AND ${ALIVE} LIMIT 1`, [
    applicationName,
  ]);
  return rows[0]?.[0] ?? null;
}

/** One that hangs keeps its lock. One that has begun since we looked is at work, and is left alone. */
async function endHanging(connection: PgConnection, applicationName: string): Promise<void> {
  await connection.query(`SELECT pg_terminate_backend(pid) ${OTHERS} AND NOT ${ALIVE}`, [
    applicationName,
  ]);
}

/**
 * Fails while another run of the pipeline is at work. Held as a session's lock as well: of several that begin at the
 * same moment one gets it, and it is seen where another user's connections are not. The connection must not bear the
 * name yet that runs have, or two that wait would take each other for one that is at work.
 */
export async function assertAlone(
  connection: PgConnection,
  pipeline: string,
  applicationName: string,
): Promise<void> {
  const until = performance.now() + CLEAR_WITHIN_MS;
  for (;;) {
    const locked = await connection.query(
      `SELECT pg_try_advisory_lock(hashtextextended('forebay ' || $1, 0))`,
      [pipeline],
    );
    const isLocked = locked.rows[0]?.[0] === 't';
    const alive = await findAlive(connection, applicationName);
    if (isLocked && alive === null) return;
    if (performance.now() > until) {
      throw new ForebayError('pipeline_in_use', {
        message: `another process runs pipeline ${pipeline}`,
        why:
          alive === null
            ? "a connection of another run holds the pipeline's lock at the destination"
            : `its connection is PID ${alive} at the destination`,
      });
    }
    if (alive === null) await endHanging(connection, applicationName);
    await connection.query('SELECT pg_sleep($1::float8)', [String(POLL_MS / 1000)]);
  }
}

/** How long the server is waited for until it has rolled back what was under way. */
const END_WITHIN_MS = 10_000;
const POLL_MS = 20;

/** Ends other connections of this name and user; whose run they were sees that its place was taken. */
export async function endOtherRuns(
  connection: PgConnection,
  applicationName: string,
): Promise<void> {
  const until = performance.now() + END_WITHIN_MS;
  for (;;) {
    const { rows } = await connection.query(`SELECT pg_terminate_backend(pid) ${OTHERS}`, [
      applicationName,
    ]);
    if (rows.length === 0 || performance.now() > until) return;
    await connection.query('SELECT pg_sleep($1::float8)', [String(POLL_MS / 1000)]);
  }
}
