/** What must hold at a destination before a run; every finding carries the statement that mends it. Reads only. */
import type { Finding } from '../../core/connector.ts';
import { type ErrorCode, ForebayError } from '../../core/errors.ts';
import type { Lane } from './lane.ts';
import { hasMetadata } from './metadata.ts';
import { quoteIdent } from './sql.ts';

const OLDEST_VERSION = 130_000;

interface Facts {
  readonly user: string;
  readonly database: string;
  readonly inRecovery: boolean;
  /** What the database or the user is set to, not the session, which asks for writing. */
  readonly readOnly: boolean;
  readonly readOnlySource: string;
  readonly canCreate: boolean;
  readonly canTemp: boolean;
  readonly encoding: string;
}

async function readFacts(lane: Lane): Promise<Facts> {
  const { rows } = await lane.connection.query(
    `SELECT current_user, current_database(), pg_is_in_recovery()::text, reset_val, source,
       has_database_privilege(current_database(), 'CREATE')::text,
       has_database_privilege(current_database(), 'TEMP')::text,
       current_setting('server_encoding')
     FROM pg_settings WHERE name = 'default_transaction_read_only'`,
  );
  const row = rows[0] ?? [];
  return {
    user: row[0] ?? '',
    database: row[1] ?? '',
    inRecovery: row[2] === 'true',
    readOnly: row[3] === 'on',
    readOnlySource: row[4] ?? '',
    canCreate: row[5] === 'true',
    canTemp: row[6] === 'true',
    encoding: row[7] ?? '',
  };
}

function ok(step: string, message: string): Finding {
  return { step, severity: 'ok', message, fix: null, stream: null, error: null };
}

function failure(step: string, code: ErrorCode, message: string, fix: string): Finding {
  const error = new ForebayError(code, { message, fix });
  return { step, severity: 'error', message, fix, stream: null, error };
}

function note(step: string, severity: 'info' | 'warning', message: string, fix: string): Finding {
  return { step, severity, message, fix, stream: null, error: null };
}

function writableFinding(facts: Facts): Finding {
  if (facts.inRecovery) {
    return failure(
      'writable',
      'read_only',
      `database ${facts.database} is on a standby server, which only takes reads`,
      'Connect to the primary.',
    );
  }
  if (facts.readOnly) {
    return failure(
      'writable',
      'read_only',
      `default_transaction_read_only is on for database ${facts.database} or user ${facts.user}`,
      `ALTER DATABASE ${quoteIdent(facts.database)} RESET default_transaction_read_only; ALTER ROLE ${quoteIdent(facts.user)} RESET default_transaction_read_only;`,
    );
  }
  return ok('writable', 'the server takes writes');
}

function privilegeFindings(facts: Facts, hasSchema: boolean): Finding[] {
  const user = quoteIdent(facts.user);
  const database = quoteIdent(facts.database);
  const mayStart = facts.canCreate || hasSchema;
  return [
    mayStart
      ? ok('create_privilege', 'schemas can be made')
      : failure(
          'create_privilege',
          'privilege_missing',
          `user ${facts.user} may not create schemas in database ${facts.database}`,
          `GRANT CREATE ON DATABASE ${database} TO ${user};`,
        ),
    facts.canTemp
      ? ok('temp_privilege', 'temporary tables can be made')
      : failure(
          'temp_privilege',
          'privilege_missing',
          `user ${facts.user} may not make temporary tables in database ${facts.database}`,
          `GRANT TEMPORARY ON DATABASE ${database} TO ${user};`,
        ),
  ];
}

/** Whether the user may use what is in `_forebay` already. */
async function metadataFinding(lane: Lane, facts: Facts, hasSchema: boolean): Promise<Finding> {
  if (!hasSchema) return ok('metadata', 'schema _forebay will be made');
  const { rows } = await lane.connection.query(
    `SELECT bool_and(has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
       AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE'))::text
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = '_forebay' AND c.relkind = 'r' AND c.relname <> 'format'`,
  );
  if (rows[0]?.[0] === 'true') return ok('metadata', 'schema _forebay can be used');
  return failure(
    'metadata',
    'privilege_missing',
    `user ${facts.user} may not use the tables of schema _forebay`,
    `GRANT USAGE ON SCHEMA _forebay TO ${quoteIdent(facts.user)}; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA _forebay TO ${quoteIdent(facts.user)};`,
  );
}

async function metadataThere(lane: Lane): Promise<boolean | Finding> {
  try {
    return await hasMetadata(lane.connection);
  } catch (error) {
    if (!(error instanceof ForebayError) || error.class === 'transient') throw error;
    return {
      step: 'metadata',
      severity: 'error',
      message: error.message,
      fix: error.fix,
      stream: null,
      error,
    };
  }
}

export async function checkDestination(lane: Lane): Promise<Finding[]> {
  const facts = await readFacts(lane);
  const { serverVersion } = lane.connection;
  const version = `${Math.floor(serverVersion / 10_000)}.${serverVersion % 10_000}`;
  const there = await metadataThere(lane);
  const hasSchema = there !== false;
  return [
    serverVersion < OLDEST_VERSION
      ? note(
          'version',
          'warning',
          `PostgreSQL ${version} is older than 13 and not tested`,
          'Upgrade the server.',
        )
      : ok('version', `PostgreSQL ${version}`),
    writableFinding(facts),
    ...privilegeFindings(facts, hasSchema),
    typeof there === 'boolean' ? await metadataFinding(lane, facts, there) : there,
    ...(facts.encoding === 'UTF8'
      ? []
      : [
          note(
            'encoding',
            'warning',
            `database ${facts.database} is encoded in ${facts.encoding}: characters that it lacks are rejected`,
            'Use a database with encoding UTF8.',
          ),
        ]),
    ...(lane.replica
      ? []
      : [
          note(
            'replica_role',
            'info',
            `user ${facts.user} may not set session_replication_role: triggers and foreign keys of the tables act on replicated rows`,
            `GRANT SET ON PARAMETER session_replication_role TO ${quoteIdent(facts.user)};`,
          ),
        ]),
  ];
}
