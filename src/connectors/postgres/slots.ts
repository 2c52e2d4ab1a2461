/** What a pipeline keeps in a source: a publication and a replication slot, both named after it. */
import type { Leftover } from '../../core/connector.ts';
import { ForebayError } from '../../core/errors.ts';
import { streamId, type StreamSchema } from '../../core/stream-schema.ts';
import type { PgConnection } from './connection.ts';
import { insertsName, type SourceNames } from './slot-names.ts';
import { quoteIdent, quoteLiteral, quoteName } from './sql.ts';

const GENERATED_PUBLISHABLE = 180_000;
const NEW_SLOT_SYNTAX = 150_000;
const SCHEMAS_PUBLISHABLE = 150_000;
const SAFE_WAL = 130_000;
/** A process that was just killed may leave its walsender working for a moment. */
const SLOT_WAIT_MS = 12_000;
const POLL_MS = 100;
/** A run that still holds the slot after this long hangs or was stopped, and its place is taken. */
const HELD_BY_OURS_MS = 2_000;

export interface SlotState {
  readonly plugin: string;
  readonly database: string;
  readonly activePid: string | null;
  readonly activeApplication: string | null;
  readonly confirmedFlush: string | null;
  readonly walStatus: string | null;
  /** Bytes of log that may still be written before the slot is invalidated; null: no limit. */
  readonly safeWalBytes: number | null;
  readonly invalidation: string | null;
  readonly failover: boolean;
}

export async function readSlot(connection: PgConnection, name: string): Promise<SlotState | null> {
  const version = connection.serverVersion;
  const wal = version >= SAFE_WAL ? 's.wal_status, s.safe_wal_size::text' : 'NULL, NULL';
  const newer = version >= 170_000 ? 's.invalidation_reason, s.failover' : 'NULL, false';
  const { rows } = await connection.query(
    `SELECT s.plugin, s.database, s.active_pid::text, a.application_name, s.confirmed_flush_lsn::text, ${wal}, ${newer}
     FROM pg_catalog.pg_replication_slots s
     LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = s.active_pid
     WHERE s.slot_name = $1`,
    [name],
  );
  const row = rows[0];
  if (row === undefined) return null;
  const [plugin, database, activePid, application, flush, walStatus, safeWal, reason, failover] =
    row;
  return {
    plugin: plugin ?? '',
    database: database ?? '',
    activePid: activePid ?? null,
    activeApplication: application ?? null,
    confirmedFlush: flush ?? null,
    walStatus: walStatus ?? null,
    safeWalBytes: safeWal === null || safeWal === undefined ? null : Number(safeWal),
    invalidation: reason ?? null,
    failover: failover === 't',
  };
}

export function slotInUse(name: string, slot: SlotState): ForebayError {
  const who = slot.activeApplication === null ? '' : ` (${slot.activeApplication})`;
  return new ForebayError('slot_in_use', {
    message: `replication slot ${name} is being read by another process`,
    why: `it is active for PID ${slot.activePid ?? '?'}${who}`,
  });
}

/**
 * Waits for a slot to be free; gives up with the holder's name. `ours` is the application name of an earlier run
 * of this pipeline: its connection is ended, since this run has its place. Nobody else's is.
 */
export async function waitForSlot(
  connection: PgConnection,
  name: string,
  signal: AbortSignal,
  ours: string | null = null,
): Promise<SlotState | null> {
  const start = performance.now();
  for (;;) {
    const slot = await readSlot(connection, name);
    if (slot === null || slot.activePid === null) return slot;
    const held = ours !== null && slot.activeApplication === ours;
    if (held && performance.now() - start > HELD_BY_OURS_MS) {
      await connection.query('SELECT pg_catalog.pg_terminate_backend($1::int)', [slot.activePid]);
    }
    if (performance.now() - start > SLOT_WAIT_MS || signal.aborted) throw slotInUse(name, slot);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

export async function dropSlot(
  connection: PgConnection,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  const slot = await waitForSlot(connection, name, signal);
  if (slot !== null)
    await connection.query('SELECT pg_catalog.pg_drop_replication_slot($1)', [name]);
}

interface PublicationParts {
  readonly name: string;
  readonly publish: string;
  readonly streams: readonly StreamSchema[];
}

function publications(name: string, streams: readonly StreamSchema[]): PublicationParts[] {
  return [
    {
      name,
      publish: 'insert, update, delete, truncate',
      streams: streams.filter((schema) => schema.identity !== 'none'),
    },
    {
      name: insertsName(name),
      publish: 'insert, truncate',
      streams: streams.filter((schema) => schema.identity === 'none'),
    },
  ];
}

export async function createPublications(
  connection: PgConnection,
  name: string,
  streams: readonly StreamSchema[],
): Promise<void> {
  const generated =
    connection.serverVersion >= GENERATED_PUBLISHABLE ? ', publish_generated_columns = stored' : '';
  for (const part of publications(name, streams)) {
    const tables = part.streams.map((schema) => quoteName(schema.stream)).join(', ');
    await connection.execute(`DROP PUBLICATION IF EXISTS ${quoteIdent(part.name)}`);
    await connection.execute(
      `CREATE PUBLICATION ${quoteIdent(part.name)}${tables === '' ? '' : ` FOR TABLE ${tables}`}` +
        ` WITH (publish = '${part.publish}', publish_via_partition_root = true${generated})`,
    );
  }
}

export async function publishTables(
  connection: PgConnection,
  name: string,
  streams: readonly StreamSchema[],
): Promise<void> {
  for (const part of publications(name, streams)) {
    if (part.streams.length === 0) continue;
    const tables = part.streams.map((schema) => quoteName(schema.stream)).join(', ');
    await connection.execute(`ALTER PUBLICATION ${quoteIdent(part.name)} ADD TABLE ${tables}`);
  }
}

export async function dropPublications(connection: PgConnection, name: string): Promise<void> {
  for (const publication of [name, insertsName(name)]) {
    await connection.execute(`DROP PUBLICATION IF EXISTS ${quoteIdent(publication)}`);
  }
}

export interface CreatedSlot {
  readonly consistentPoint: string;
  readonly snapshotName: string;
}

/** On a replication connection, which then holds the snapshot until its next command. */
export async function createSlot(replication: PgConnection, name: string): Promise<CreatedSlot> {
  const options =
    replication.serverVersion >= NEW_SLOT_SYNTAX ? "(SNAPSHOT 'export')" : 'EXPORT_SNAPSHOT';
  const { rows } = await replication.simple(
    `CREATE_REPLICATION_SLOT ${quoteIdent(name)} LOGICAL pgoutput ${options}`,
  );
  const [, consistentPoint, snapshotName] = rows[0] ?? [];
  if (!consistentPoint || !snapshotName) {
    throw new ForebayError('protocol', {
      message: 'CREATE_REPLICATION_SLOT answered without a snapshot',
    });
  }
  return { consistentPoint, snapshotName };
}

export interface SystemFacts {
  readonly systemId: string;
  readonly timeline: string;
}

export async function identifySystem(replication: PgConnection): Promise<SystemFacts> {
  const { rows } = await replication.simple('IDENTIFY_SYSTEM');
  return { systemId: rows[0]?.[0] ?? '', timeline: rows[0]?.[1] ?? '' };
}

/** Both, or whoever reads the slot would miss one. */
/** What a publication leaves out would be missing at the destination. */
export async function assertWholePublication(
  connection: PgConnection,
  name: string,
): Promise<void> {
  const { rows } = await connection.query(
    `SELECT pubinsert AND pubupdate AND pubdelete AND pubtruncate, EXISTS (
         SELECT FROM pg_catalog.pg_publication_rel r WHERE r.prpubid = p.oid
           AND (to_jsonb(r) ->> 'prqual' IS NOT NULL OR to_jsonb(r) ->> 'prattrs' IS NOT NULL))
     FROM pg_catalog.pg_publication p WHERE pubname = $1`,
    [name],
  );
  const [row] = rows;
  const fail = (message: string, fix: string): ForebayError =>
    new ForebayError('source_settings', { message, fix });
  const quoted = quoteIdent(name);
  if (row === undefined) {
    const fix = `CREATE PUBLICATION ${quoted} FOR TABLE ... WITH (publish_via_partition_root = true);`;
    throw fail(`there is no publication ${name}`, fix);
  }
  if (row[0] !== 't') {
    const fix = `ALTER PUBLICATION ${quoted} SET (publish = 'insert, update, delete, truncate');`;
    throw fail(`publication ${name} leaves out kinds of changes`, fix);
  }
  if (row[1] === 't') {
    const fix = 'Give a publication of whole tables, or let the pipeline make its own.';
    throw fail(`publication ${name} leaves out rows or columns of its tables`, fix);
  }
}

export async function arePublished(
  connection: PgConnection,
  names: readonly string[],
): Promise<boolean> {
  return (await existing(connection, names)).length === names.length;
}

async function existing(connection: PgConnection, names: readonly string[]): Promise<string[]> {
  const { rows } = await connection.query(
    `SELECT pubname FROM pg_catalog.pg_publication
     WHERE pubname IN (SELECT jsonb_array_elements_text($1::jsonb)) ORDER BY pubname`,
    [JSON.stringify(names)],
  );
  return rows.map((row) => row[0] ?? '');
}

/**
 * Tables that are published, by oid, each with what makes it so. A table that is taken out and put back, or put in with
 * another filter, gets a new row in the catalog; what a publication sends stands in its own row, which is then written
 * anew.
 */
export async function publishedTables(
  connection: PgConnection,
  names: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const bySchema =
    connection.serverVersion >= SCHEMAS_PUBLISHABLE
      ? `UNION ALL SELECT c.oid, p.row, n.oid FROM p
         JOIN pg_catalog.pg_publication_namespace n ON n.pnpubid = p.oid
         JOIN pg_catalog.pg_class c ON c.relnamespace = n.pnnspid`
      : '';
  const { rows } = await connection.query(
    `WITH p AS (
       SELECT p.oid, p.puballtables, p.oid::text || '.' || p.xmin::text AS row
       FROM pg_catalog.pg_publication p
       WHERE p.pubname IN (SELECT jsonb_array_elements_text($1::jsonb))
     ), member AS (
       SELECT r.prrelid AS oid, p.row, r.oid AS by FROM p
       JOIN pg_catalog.pg_publication_rel r ON r.prpubid = p.oid
       UNION ALL SELECT c.oid, p.row, NULL FROM p JOIN pg_catalog.pg_class c ON p.puballtables
       ${bySchema}
     )
     SELECT oid::text, pg_catalog.string_agg(row || '.' || coalesce(by::text, ''), ' ' ORDER BY row, by)
     FROM member GROUP BY oid`,
    [JSON.stringify(names)],
  );
  return new Map(rows.map(([oid, how]) => [oid ?? '', how ?? '']));
}

/** A publication that the user made is the user's. */
export async function leftovers(connection: PgConnection, names: SourceNames): Promise<Leftover[]> {
  const found: Leftover[] = [];
  const { slot: name } = names;
  if ((await readSlot(connection, name)) !== null) found.push({ kind: 'replication slot', name });
  if (names.publicationGiven) return found;
  for (const publication of await existing(connection, names.publications)) {
    found.push({ kind: 'publication', name: publication });
  }
  return found;
}

/** One that stands under the user's name may have another reader, whose place it keeps. */
export async function assertNoSlot(connection: PgConnection, name: string): Promise<void> {
  if ((await readSlot(connection, name)) === null) return;
  throw new ForebayError('slot_in_use', {
    message: `replication slot ${name} is there already, and the pipeline has no checkpoint`,
    fix: `Give another name, or if nobody reads it: SELECT pg_drop_replication_slot(${quoteLiteral(name).trimStart()});`,
  });
}

/** The user's own publication must hold the tables: it is not ours to change. */
export function assertPublished(
  publication: string,
  streams: readonly StreamSchema[],
  published: ReadonlyMap<string, string>,
): void {
  const missing = streams.filter((schema) => !published.has(schema.ref));
  const [first] = missing;
  if (first === undefined) return;
  const tables = missing.map((schema) => quoteName(schema.stream)).join(', ');
  throw new ForebayError('not_published', {
    message: `publication ${publication} does not hold ${tables}`,
    fix: `ALTER PUBLICATION ${quoteIdent(publication)} ADD TABLE ${tables}; or leave the tables out.`,
    stream: streamId(first.stream),
  });
}

export function startCommand(
  name: string,
  position: string,
  options: Readonly<Record<string, string>>,
): string {
  const list = Object.entries(options)
    .map(([key, value]) => `${key} ${quoteLiteral(value).trimStart()}`)
    .join(', ');
  return `START_REPLICATION SLOT ${quoteIdent(name)} LOGICAL ${position} (${list})`;
}
