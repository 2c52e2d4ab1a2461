/** What must hold in a source before a run; every finding carries the statement that mends it. Reads only. */
import type { Finding } from '../../core/connector.ts';
import { type ErrorCode, ForebayError } from '../../core/errors.ts';
import { type StreamSchema, streamId } from '../../core/stream-schema.ts';
import type { PgConnection } from './connection.ts';
import { quoteIdent, quoteName } from './sql.ts';

const OLDEST_VERSION = 130_000;

interface Facts {
  readonly version: number;
  readonly walLevel: string;
  readonly slotsFree: number;
  readonly sendersFree: number;
  readonly canReplicate: boolean;
  readonly canCreate: boolean;
  readonly user: string;
  readonly database: string;
  readonly isStandby: boolean;
  readonly keepMb: number;
  readonly idleTimeout: string | null;
  readonly isSuperuser: boolean;
}

const FACTS_SQL = `
SELECT current_setting('wal_level'),
  current_setting('max_replication_slots')::int - (SELECT count(*) FROM pg_catalog.pg_replication_slots),
  current_setting('max_wal_senders')::int - (SELECT count(*) FROM pg_catalog.pg_stat_replication),
  r.rolreplication OR r.rolsuper,
  pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'),
  r.rolname, pg_catalog.current_database(), pg_catalog.pg_is_in_recovery(),
  CASE WHEN current_setting('max_slot_wal_keep_size') = '-1' THEN -1
    ELSE pg_catalog.pg_size_bytes(current_setting('max_slot_wal_keep_size')) / 1048576 END,
  current_setting('idle_replication_slot_timeout', true), r.rolsuper
FROM pg_catalog.pg_roles r WHERE r.rolname = current_user`;

async function readFacts(connection: PgConnection): Promise<Facts> {
  const row = (await connection.query(FACTS_SQL)).rows[0] ?? [];
  return {
    version: connection.serverVersion,
    walLevel: row[0] ?? '',
    slotsFree: Number(row[1]),
    sendersFree: Number(row[2]),
    canReplicate: row[3] === 't',
    canCreate: row[4] === 't',
    user: row[5] ?? '',
    database: row[6] ?? '',
    isStandby: row[7] === 't',
    keepMb: Number(row[8]),
    idleTimeout: row[9] ?? null,
    isSuperuser: row[10] === 't',
  };
}

interface Problem {
  readonly code: ErrorCode;
  readonly message: string;
  readonly fix: string;
}

function finding(
  step: string,
  good: string,
  problem: Problem | null,
  stream: string | null = null,
): Finding {
  if (problem === null) {
    return { step, severity: 'ok', message: good, fix: null, stream, error: null };
  }
  const { code, message, fix } = problem;
  const error = new ForebayError(code, { message, fix, ...(stream === null ? {} : { stream }) });
  return { step, severity: 'error', message, fix, stream, error };
}

function note(
  step: string,
  severity: 'info' | 'warning',
  message: string,
  fix: string | null,
): Finding {
  return { step, severity, message, fix, stream: null, error: null };
}

function versionFinding(facts: Facts): Finding {
  const version = `${Math.floor(facts.version / 10_000)}.${facts.version % 10_000}`;
  const old = facts.version < OLDEST_VERSION;
  return finding(
    'version',
    `PostgreSQL ${version}`,
    old
      ? {
          code: 'source_settings',
          message: `PostgreSQL ${version} is older than 13`,
          fix: 'Upgrade the server.',
        }
      : null,
  );
}

function serverFindings(facts: Facts): Finding[] {
  const user = quoteIdent(facts.user);
  return [
    finding(
      'wal_level',
      'wal_level is logical',
      facts.walLevel === 'logical'
        ? null
        : {
            code: 'source_settings',
            message: `wal_level is ${facts.walLevel}; changes can only be read with logical`,
            fix: 'ALTER SYSTEM SET wal_level = logical; then restart the server.',
          },
    ),
    finding(
      'replication_privilege',
      'the user may replicate',
      facts.canReplicate
        ? null
        : {
            code: 'privilege_missing',
            message: `user ${facts.user} lacks the REPLICATION attribute`,
            fix: `ALTER ROLE ${user} REPLICATION;`,
          },
    ),
    finding(
      'publication_privilege',
      'the user may create a publication',
      facts.canCreate
        ? null
        : {
            code: 'privilege_missing',
            message: `user ${facts.user} may not create a publication in database ${facts.database}`,
            fix: `GRANT CREATE ON DATABASE ${quoteIdent(facts.database)} TO ${user};`,
          },
    ),
    finding(
      'standby',
      'the server is a primary',
      facts.isStandby
        ? {
            code: 'source_settings',
            message: 'the server is a standby; a publication cannot be made there',
            fix: 'Connect to the primary.',
          }
        : null,
    ),
  ];
}

function capacityFindings(facts: Facts): Finding[] {
  return [
    finding(
      'replication_slots',
      `${facts.slotsFree} replication slots are free`,
      facts.slotsFree > 0
        ? null
        : {
            code: 'no_free_slot',
            message: 'no replication slot is free',
            fix: 'ALTER SYSTEM SET max_replication_slots = 20; then restart, or drop a slot that nobody uses.',
          },
    ),
    finding(
      'wal_senders',
      `${facts.sendersFree} WAL senders are free`,
      facts.sendersFree > 0
        ? null
        : {
            code: 'no_free_slot',
            message: 'no WAL sender is free',
            fix: 'ALTER SYSTEM SET max_wal_senders = 20; then restart.',
          },
    ),
  ];
}

function retentionFindings(facts: Facts): Finding[] {
  const findings = [
    facts.keepMb < 0
      ? note(
          'wal_retention',
          'info',
          'max_slot_wal_keep_size is unlimited: a stopped pipeline never loses its position, but its log fills the disk',
          null,
        )
      : note(
          'wal_retention',
          'warning',
          `max_slot_wal_keep_size is ${facts.keepMb} MB: a pipeline that lags further behind loses its position`,
          'Keep it above the log of your longest pause, or set it to -1.',
        ),
  ];
  if (facts.idleTimeout !== null && facts.idleTimeout !== '0') {
    findings.push(
      note(
        'idle_slot_timeout',
        'warning',
        `idle_replication_slot_timeout is ${facts.idleTimeout}: a pipeline stopped for longer loses its position`,
        'ALTER SYSTEM SET idle_replication_slot_timeout = 0; SELECT pg_reload_conf();',
      ),
    );
  }
  return findings;
}

function identityFinding(schema: StreamSchema): Finding {
  const id = streamId(schema.stream);
  const table = quoteName(schema.stream);
  const good = schema.identity === 'key' ? `${id} has a key` : `${id} sends whole old rows`;
  return finding(
    'replica_identity',
    good,
    schema.identity === 'none'
      ? {
          code: 'no_key',
          message: `${id} has no key that the change stream could use: its updates and deletes cannot be followed`,
          fix: `ALTER TABLE ${table} ADD PRIMARY KEY (...); or ALTER TABLE ${table} REPLICA IDENTITY FULL;`,
        }
      : null,
    id,
  );
}

const OWNERSHIP_SQL = `
SELECT c.oid::text, pg_catalog.has_table_privilege(c.oid, 'SELECT')
    AND pg_catalog.has_schema_privilege(c.relnamespace, 'USAGE'),
  pg_catalog.pg_has_role(c.relowner, 'USAGE'), pg_catalog.pg_get_userbyid(c.relowner)
FROM pg_catalog.pg_class c WHERE c.oid = ANY ($1::oid[])`;

async function tableFindings(
  connection: PgConnection,
  facts: Facts,
  streams: readonly StreamSchema[],
  purpose: 'snapshot' | 'changes',
): Promise<Finding[]> {
  const oids = `{${streams.map((schema) => schema.ref).join(',')}}`;
  const { rows } = await connection.query(OWNERSHIP_SQL, [oids]);
  const byOid = new Map(rows.map((row) => [row[0] ?? '', row]));
  return streams.flatMap((schema) => {
    const id = streamId(schema.stream);
    const [, readable, owned, owner] = byOid.get(schema.ref) ?? [];
    const user = quoteIdent(facts.user);
    const findings = [
      finding(
        'select_privilege',
        `${id} may be read`,
        readable === 't'
          ? null
          : {
              code: 'privilege_missing',
              message: `user ${facts.user} may not read ${id}`,
              fix: `GRANT USAGE ON SCHEMA ${quoteIdent(schema.stream.namespace)} TO ${user}; GRANT SELECT ON ${quoteName(schema.stream)} TO ${user};`,
            },
        id,
      ),
    ];
    if (purpose === 'snapshot') return findings;
    findings.push(
      finding(
        'ownership',
        `${id} may be published`,
        owned === 't'
          ? null
          : {
              code: 'privilege_missing',
              message: `user ${facts.user} does not own ${id}, and only the owner may publish a table`,
              fix: `GRANT ${quoteIdent(owner ?? '')} TO ${user};`,
            },
        id,
      ),
      identityFinding(schema),
    );
    return findings;
  });
}

export async function checkSource(
  connection: PgConnection,
  streams: readonly StreamSchema[] | null,
  purpose: 'snapshot' | 'changes',
): Promise<Finding[]> {
  const facts = await readFacts(connection);
  const tables = streams === null ? [] : await tableFindings(connection, facts, streams, purpose);
  if (purpose === 'snapshot') return [versionFinding(facts), ...tables];
  return [
    versionFinding(facts),
    ...serverFindings(facts),
    ...capacityFindings(facts),
    ...retentionFindings(facts),
    ...tables,
  ];
}
