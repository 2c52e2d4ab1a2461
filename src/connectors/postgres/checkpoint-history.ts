/** Earlier checkpoints of a pipeline, thinned: for people, who want to know how it went along. */
import { type Checkpoint, checkpointChecksum, eventsOf } from '../../core/checkpoint.ts';
import type { PastCheckpoint } from '../../core/connector.ts';
import type { PgConnection } from './connection.ts';
import type { RunIdentity } from './metadata.ts';

export const HISTORY_TABLE = `CREATE TABLE IF NOT EXISTS _forebay.checkpoint_history (
  pipeline text NOT NULL, committed_at timestamptz NOT NULL, epoch bigint NOT NULL, position text NOT NULL,
  events bigint NOT NULL, checksum text NOT NULL, PRIMARY KEY (pipeline, committed_at));`;

/** One at most in this time. */
export const HISTORY_MS = 10_000;
const KEPT = 1000;

/** In the transaction that commits the checkpoint. */
export async function recordHistory(
  connection: PgConnection,
  run: RunIdentity,
  checkpoint: Checkpoint,
): Promise<void> {
  await connection.query(
    `WITH old AS (DELETE FROM _forebay.checkpoint_history WHERE pipeline = $1 AND committed_at <= (
         SELECT committed_at FROM _forebay.checkpoint_history WHERE pipeline = $1
         ORDER BY committed_at DESC OFFSET ${KEPT - 1} LIMIT 1))
     INSERT INTO _forebay.checkpoint_history VALUES ($1, clock_timestamp(), $2::bigint, $3, $4::bigint, $5)
     ON CONFLICT DO NOTHING`,
    [
      run.pipeline,
      String(run.epoch),
      checkpoint.position,
      String(eventsOf(checkpoint)),
      checkpointChecksum(run.pipeline, checkpoint),
    ],
  );
}

/** Latest first. */
export async function readHistory(
  connection: PgConnection,
  pipeline: string,
): Promise<readonly PastCheckpoint[]> {
  const { rows: there } = await connection.query(
    `SELECT to_regclass('_forebay.checkpoint_history')`,
  );
  if (there[0]?.[0] == null) return [];
  const { rows } = await connection.query(
    `SELECT position, events::text, checksum, epoch::text,
       to_char(committed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
     FROM _forebay.checkpoint_history WHERE pipeline = $1 ORDER BY committed_at DESC`,
    [pipeline],
  );
  return rows.map(([position, events, checksum, epoch, at]) => ({
    position: position ?? '',
    events: Number(events),
    checksum: checksum ?? '',
    epoch: Number(epoch),
    committedAt: at ?? '',
  }));
}
