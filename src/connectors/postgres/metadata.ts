/** What Forebay remembers at the destination: schema `_forebay`. */
import {
  type Checkpoint,
  checkpointChecksum,
  type PipelineState,
  type RowAccount,
  type StreamRecord,
  type StreamState,
} from '../../core/checkpoint.ts';
import type { SessionOptions } from '../../core/connector.ts';
import { ForebayError } from '../../core/errors.ts';
import { HISTORY_TABLE } from './checkpoint-history.ts';
import type { PgConnection } from './connection.ts';

/** Raised when an older release could no longer read what is there. */
const FORMAT = 1;
/** Advisory lock under which the schema is made and removed. */
const SCHEMA_LOCK = 'pg_advisory_xact_lock(7305790108511893605)';

const TABLES = `
CREATE SCHEMA IF NOT EXISTS _forebay;
CREATE TABLE IF NOT EXISTS _forebay.format (version integer PRIMARY KEY);
CREATE TABLE IF NOT EXISTS _forebay.checkpoints (
  pipeline text NOT NULL, shard text NOT NULL DEFAULT 'main', epoch bigint NOT NULL,
  position text, source jsonb, accounts jsonb, checksum text, batch_id text,
  updated_at timestamptz NOT NULL DEFAULT now(), run text, PRIMARY KEY (pipeline, shard));
CREATE TABLE IF NOT EXISTS _forebay.streams (
  pipeline text NOT NULL, stream text NOT NULL, state text NOT NULL, reason text, detail text NOT NULL,
  PRIMARY KEY (pipeline, stream));
CREATE TABLE IF NOT EXISTS _forebay.snapshot_chunks (
  pipeline text NOT NULL, stream text NOT NULL, chunk text NOT NULL, rows bigint NOT NULL,
  loaded_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (pipeline, stream, chunk));
CREATE TABLE IF NOT EXISTS _forebay.dead_letters (
  id text PRIMARY KEY, pipeline text NOT NULL, stream text NOT NULL, op text NOT NULL, code text NOT NULL,
  reason text NOT NULL, position text NOT NULL, payload jsonb NOT NULL, plan jsonb NOT NULL, key text,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(), replayed_at timestamptz, superseded_at timestamptz);
${HISTORY_TABLE}
INSERT INTO _forebay.format VALUES (${FORMAT}) ON CONFLICT DO NOTHING;
`;

async function readFormat(connection: PgConnection): Promise<number | null> {
  const { rows: there } = await connection.query(`SELECT to_regclass('_forebay.format')`);
  if (there[0]?.[0] == null) return null;
  const { rows } = await connection.query('SELECT max(version)::text FROM _forebay.format');
  return Number(rows[0]?.[0] ?? 0);
}

/** False if nothing is there yet. */
export async function hasMetadata(connection: PgConnection): Promise<boolean> {
  const format = await readFormat(connection);
  if (format !== null && format > FORMAT) {
    throw new ForebayError('newer_version', {
      message: `the schema _forebay has format ${format}, this release knows ${FORMAT}`,
    });
  }
  return format !== null && format > 0;
}

/** What came after the format's first release, which does without it. */
async function addLater(connection: PgConnection): Promise<void> {
  const { rows } = await connection.query(
    `SELECT FROM pg_attribute WHERE attrelid = '_forebay.checkpoints'::regclass AND attname = 'run'
       AND to_regclass('_forebay.checkpoint_history') IS NOT NULL`,
  );
  if (rows.length > 0) return;
  await connection.execute(
    `ALTER TABLE _forebay.checkpoints ADD COLUMN IF NOT EXISTS run text; ${HISTORY_TABLE}`,
  );
}

export async function createMetadata(connection: PgConnection): Promise<void> {
  if (await hasMetadata(connection)) {
    await addLater(connection);
    return;
  }
  try {
    await connection.execute(`BEGIN; SELECT ${SCHEMA_LOCK}; ${TABLES} COMMIT`);
  } catch (error) {
    await connection.execute('ROLLBACK').catch(() => {});
    throw error;
  }
}

/** Removes the schema when no pipeline and no dead letter is left in it. */
export async function dropUnusedMetadata(connection: PgConnection): Promise<void> {
  await connection.execute(`DO $$ BEGIN
    PERFORM ${SCHEMA_LOCK};
    IF NOT EXISTS (SELECT FROM _forebay.checkpoints) AND NOT EXISTS (SELECT FROM _forebay.dead_letters) THEN
      DROP TABLE IF EXISTS _forebay.checkpoint_history;
      DROP TABLE _forebay.checkpoints, _forebay.streams, _forebay.snapshot_chunks, _forebay.dead_letters,
        _forebay.format;
      DROP SCHEMA _forebay;
    END IF;
  EXCEPTION WHEN insufficient_privilege OR dependent_objects_still_exist THEN NULL;
  END $$`);
}

/** Takes the next epoch. */
export async function nextEpoch(
  connection: PgConnection,
  pipeline: string,
  run: string | null,
): Promise<number> {
  const { rows } = await connection.query(
    `INSERT INTO _forebay.checkpoints AS c (pipeline, epoch, run) VALUES ($1, 1, $2)
     ON CONFLICT (pipeline, shard) DO UPDATE SET epoch = c.epoch + 1, run = excluded.run, updated_at = now()
     RETURNING epoch::text`,
    [pipeline, run],
  );
  return Number(rows[0]?.[0]);
}

function fenced(pipeline: string): ForebayError {
  return new ForebayError('fenced', { message: `another run of pipeline ${pipeline} took over` });
}

/** Which run a statement belongs to. */
export interface RunIdentity {
  readonly pipeline: string;
  readonly epoch: number;
}

/** Until the transaction ends, no later run can begin; fails if one has. */
export async function holdEpoch(connection: PgConnection, run: RunIdentity): Promise<void> {
  const { rows } = await connection.query(
    `SELECT FROM _forebay.checkpoints WHERE pipeline = $1 AND shard = 'main' AND epoch = $2::bigint FOR SHARE`,
    [run.pipeline, String(run.epoch)],
  );
  if (rows.length !== 1) throw fenced(run.pipeline);
}

export async function assertEpoch(connection: PgConnection, run: RunIdentity): Promise<void> {
  const { rows } = await connection.query(
    `SELECT FROM _forebay.checkpoints WHERE pipeline = $1 AND shard = 'main' AND epoch = $2::bigint`,
    [run.pipeline, String(run.epoch)],
  );
  if (rows.length !== 1) throw fenced(run.pipeline);
}

export async function writeCheckpoint(
  connection: PgConnection,
  run: RunIdentity,
  checkpoint: Checkpoint,
  batch: string | null,
): Promise<void> {
  const { rowCount } = await connection.query(
    `UPDATE _forebay.checkpoints SET position = $3, source = $4::jsonb, accounts = $5::jsonb, checksum = $6,
       batch_id = $7, updated_at = now()
     WHERE pipeline = $1 AND shard = 'main' AND epoch = $2::bigint`,
    [
      run.pipeline,
      String(run.epoch),
      checkpoint.position,
      JSON.stringify(checkpoint.source),
      JSON.stringify(checkpoint.accounts),
      checkpointChecksum(run.pipeline, checkpoint),
      batch,
    ],
  );
  if (rowCount !== 1) throw fenced(run.pipeline);
}

export async function writeStreams(
  connection: PgConnection,
  pipeline: string,
  records: readonly StreamRecord[],
): Promise<void> {
  if (records.length === 0) return;
  await connection.query(
    `INSERT INTO _forebay.streams (pipeline, stream, state, reason, detail)
     SELECT $1, r.stream, r.state, r.reason, r.detail
     FROM jsonb_to_recordset($2::jsonb) AS r(stream text, state text, reason text, detail text)
     ON CONFLICT (pipeline, stream) DO UPDATE
       SET state = excluded.state, reason = excluded.reason, detail = excluded.detail`,
    [pipeline, JSON.stringify(records)],
  );
}

export async function recordChunk(
  connection: PgConnection,
  pipeline: string,
  chunk: { readonly stream: string; readonly id: string; readonly rows: number },
): Promise<void> {
  const { rowCount } = await connection.query(
    `INSERT INTO _forebay.snapshot_chunks (pipeline, stream, chunk, rows) VALUES ($1, $2, $3, $4::bigint)
     ON CONFLICT DO NOTHING`,
    [pipeline, chunk.stream, chunk.id, String(chunk.rows)],
  );
  if (rowCount !== 1) {
    throw new ForebayError('internal', {
      message: `chunk ${chunk.id} of ${chunk.stream} was loaded before`,
      stream: chunk.stream,
    });
  }
}

function readCheckpoint(
  pipeline: string,
  row: readonly (string | null)[],
  acceptDamaged: boolean,
): Checkpoint | null {
  const [, position, source, accounts, checksum] = row;
  if (position == null) return null;
  const checkpoint: Checkpoint = {
    position,
    source: JSON.parse(source ?? '{"system":"","facts":{}}') as Checkpoint['source'],
    accounts: JSON.parse(accounts ?? '{}') as Readonly<Record<string, RowAccount>>,
  };
  if (!acceptDamaged && checkpointChecksum(pipeline, checkpoint) !== checksum) {
    throw new ForebayError('checkpoint_corrupt', {
      message: `the checkpoint of pipeline ${pipeline} does not match its checksum`,
    });
  }
  return checkpoint;
}

/** Null if the pipeline never ran here. */
export async function readPipeline(
  connection: PgConnection,
  pipeline: string,
  options: SessionOptions = { acceptDamaged: false },
): Promise<PipelineState | null> {
  const found = await connection.query(
    `SELECT epoch::text, position, source::text, accounts::text, checksum, to_jsonb(c) ->> 'run',
       to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
     FROM _forebay.checkpoints c WHERE pipeline = $1 AND shard = 'main'`,
    [pipeline],
  );
  const row = found.rows[0];
  if (row === undefined) return null;
  const streams = await connection.query(
    'SELECT stream, state, reason, detail FROM _forebay.streams WHERE pipeline = $1 ORDER BY stream',
    [pipeline],
  );
  const loaded = await connection.query(
    'SELECT stream, chunk FROM _forebay.snapshot_chunks WHERE pipeline = $1',
    [pipeline],
  );
  const chunks = new Map<string, Set<string>>();
  for (const [stream, chunk] of loaded.rows) {
    const ids = chunks.get(stream ?? '') ?? new Set<string>();
    chunks.set(stream ?? '', ids.add(chunk ?? ''));
  }
  return {
    epoch: Number(row[0]),
    run: row[5] ?? null,
    committedAt: row[6] ?? null,
    checkpoint: readCheckpoint(pipeline, row, options.acceptDamaged),
    streams: streams.rows.map(([stream, state, reason, detail]) => ({
      stream: stream ?? '',
      state: (state ?? 'pending') as StreamState,
      reason: reason ?? null,
      detail: detail ?? '',
    })),
    chunks,
  };
}

export async function listPipelines(connection: PgConnection): Promise<string[]> {
  const { rows } = await connection.query(
    `SELECT pipeline FROM _forebay.checkpoints WHERE shard = 'main' ORDER BY pipeline`,
  );
  return rows.flatMap(([name]) => name ?? []);
}

/** Forgets a pipeline; its dead letters stay, they are data that is nowhere else. */
export async function dropPipeline(connection: PgConnection, pipeline: string): Promise<void> {
  await connection.query(
    `WITH c AS (DELETE FROM _forebay.checkpoints WHERE pipeline = $1),
       h AS (DELETE FROM _forebay.checkpoint_history WHERE pipeline = $1),
       s AS (DELETE FROM _forebay.streams WHERE pipeline = $1)
     DELETE FROM _forebay.snapshot_chunks WHERE pipeline = $1`,
    [pipeline],
  );
}
