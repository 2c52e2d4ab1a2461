/**
 * The one table of error codes. Every failure a user can see has a row here: its class decides retry,
 * dead letter or halt; its exit code is what the command line ends with. Nobody matches on message text.
 */

export type ErrorClass =
  | 'transient'
  | 'rate-limited'
  | 'timeout'
  | 'config'
  | 'auth'
  | 'schema'
  | 'data'
  | 'position-lost'
  | 'bug';

export type ExitCode = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 75 | 130;

interface ErrorEntry {
  readonly class: ErrorClass;
  readonly exit: ExitCode;
  readonly http: number;
  /** What the code means, for `docs/errors.md`. */
  readonly meaning: string;
  /** The way out when the place that throws knows no better one. */
  readonly fix: string;
}

const entry = (
  errorClass: ErrorClass,
  exit: ExitCode,
  http: number,
  texts: readonly [meaning: string, fix: string],
): ErrorEntry => ({ class: errorClass, exit, http, meaning: texts[0], fix: texts[1] });

export const ERROR_TABLE = {
  usage: entry('config', 2, 400, [
    'The command line is not valid.',
    'Run the command with --help.',
  ]),
  unknown_scheme: entry('config', 2, 400, [
    'The URL names a system that no connector knows.',
    'Use one of the schemes that `forebay connectors` lists.',
  ]),
  invalid_url: entry('config', 2, 400, [
    'The URL of a system cannot be read.',
    'Write it as scheme://user:password@host:port/database; percent-encode special characters.',
  ]),
  invalid_option: entry('config', 2, 400, [
    'A connector or pipeline option is unknown or has a value it cannot take.',
    'See the options in the connector page under docs/connectors.',
  ]),
  environment_missing: entry('config', 2, 400, [
    'An env:NAME reference names a variable that is not set.',
    'Set the variable to the URL of the system.',
  ]),
  capability_missing: entry('config', 2, 400, [
    'The connector cannot do what was asked (for example stream changes).',
    'Run `forebay connectors` to see what each connector can do.',
  ]),
  no_streams: entry('config', 2, 400, [
    'The selection matches no table that can be read.',
    'Run `forebay discover <source>` and correct --streams.',
  ]),
  stream_not_found: entry('config', 2, 404, [
    'A stream that was named does not exist in the source.',
    'Run `forebay discover <source>` to list what is there.',
  ]),
  same_system: entry('config', 2, 400, [
    'Source and destination are the same tables.',
    'Give another database or another --schema.',
  ]),
  name_collision: entry('config', 2, 400, [
    'Two streams would land in the same destination table.',
    'Select fewer streams or leave out --schema.',
  ]),
  unreachable: entry('transient', 3, 502, [
    'No connection to the server could be made.',
    'Check host, port, network and that the server is running.',
  ]),
  connection_lost: entry('transient', 75, 502, [
    'The connection to the server broke while working.',
    'Nothing is lost: run the same command again to go on from the last checkpoint.',
  ]),
  server_starting: entry('transient', 75, 503, [
    'The server is starting up, shutting down or has no free connection.',
    'Wait for the server, or raise its connection limit.',
  ]),
  timeout: entry('timeout', 75, 504, [
    'The server did not answer in time.',
    'Check the network and the load of the server, then run the command again.',
  ]),
  tls_refused: entry('config', 3, 502, [
    'TLS was required but the server refused it or its certificate could not be verified.',
    'Give the CA with sslrootcert=, correct the host name, or choose another sslmode knowingly.',
  ]),
  authentication_failed: entry('auth', 4, 401, [
    'The server refused the user or the password.',
    'Correct user and password; keep the URL in an environment variable and pass env:NAME.',
  ]),
  privilege_missing: entry('auth', 4, 403, [
    'The user lacks a privilege that is needed.',
    'Grant it; `forebay check` and `forebay plan` print the statement.',
  ]),
  read_only: entry('auth', 4, 403, [
    'The destination only takes reads.',
    'Connect to the primary, or make the database or file writable.',
  ]),
  database_missing: entry('config', 3, 404, [
    'The database does not exist.',
    'Create it or correct the name in the URL.',
  ]),
  database_damaged: entry('config', 3, 409, [
    'The file is no database, or it is damaged.',
    'Give the path of a database, or one where nothing is; restore the file from a copy.',
  ]),
  table_missing: entry('schema', 3, 404, [
    'A table does not exist.',
    'Run `forebay discover` to see what is there.',
  ]),
  column_missing: entry('schema', 3, 404, [
    'A column does not exist.',
    'Run `forebay discover` to see the columns.',
  ]),
  source_settings: entry('config', 3, 409, [
    'The source is not set up for change data capture.',
    'Apply the statements that `forebay check` prints.',
  ]),
  no_free_slot: entry('config', 3, 409, [
    'The source has no free replication slot or sender.',
    'Raise max_replication_slots and max_wal_senders, or drop a slot that nobody uses.',
  ]),
  slot_in_use: entry('config', 3, 409, [
    'Another process reads this replication slot.',
    'Stop the other process, or give this pipeline another --name.',
  ]),
  file_locked: entry('config', 3, 409, [
    'Another process has the database file open.',
    'Close the other process, then run the command again.',
  ]),
  destination_incompatible: entry('schema', 3, 409, [
    'The destination table has other columns or types than the stream needs.',
    'Correct or drop the destination table, or load into another --schema.',
  ]),
  pipeline_in_use: entry('config', 3, 409, [
    'Another process runs this pipeline.',
    'Stop the other process, or give this pipeline another --name.',
  ]),
  pipeline_missing: entry('config', 3, 404, [
    'No pipeline of this name is recorded at the destination.',
    'Check the two systems, --streams and --name: they must be the ones it was started with.',
  ]),
  pipeline_differs: entry('config', 2, 409, [
    'The pipeline was begun with other options than those of this command.',
    'Give the options it was begun with, or begin another pipeline with another --name.',
  ]),
  position_lost: entry('position-lost', 7, 409, [
    'The source no longer has the changes that follow the checkpoint, or is another server.',
    'Run `forebay recover <source> <destination>`: it takes a new position and repairs only what differs.',
  ]),
  checkpoint_corrupt: entry('position-lost', 7, 409, [
    'The checkpoint at the destination does not match its checksum.',
    'Run `forebay recover <source> <destination>`.',
  ]),
  newer_version: entry('config', 3, 409, [
    'The metadata at the destination was written by a newer version.',
    'Upgrade forebay.',
  ]),
  fenced: entry('bug', 1, 409, [
    'Another run of this pipeline took over; this one has written nothing since.',
    'Nothing to do: the other run goes on.',
  ]),
  disk_full: entry('transient', 1, 507, [
    'A disk is full.',
    'Free space, then run the same command again: it goes on from the last checkpoint.',
  ]),
  memory_exhausted: entry('config', 1, 507, [
    'The system ran out of the memory that it may use.',
    'Raise --memory-mib, or for DuckDB alone --set duckdb.memory-mib.',
  ]),
  spill_folder: entry('config', 1, 500, [
    'The temporary folder for large transactions cannot be written.',
    'Make the folder writable or set TMPDIR to one that is, then run the same command again.',
  ]),
  destination_unmoved: entry('bug', 1, 500, [
    'The source moved rows but the row account does not add up at the destination.',
    'Please report this; run `forebay recover` to compare and repair.',
  ]),
  schema_change: entry('schema', 5, 409, [
    'The source table changed in a way that the policy does not follow.',
    'Adjust the destination table, then run `forebay recover` for this stream.',
  ]),
  no_key: entry('schema', 5, 409, [
    'The table has no key by which updates and deletes could be found.',
    'Add a primary key, or run ALTER TABLE ... REPLICA IDENTITY FULL; then `forebay recover` takes the table in.',
  ]),
  table_dropped: entry('schema', 5, 409, [
    'The source table was dropped or renamed; the destination table is kept.',
    'Nothing, if it is to be gone. A table made anew under its name is read again when the pipeline starts.',
  ]),
  value_rejected: entry('data', 5, 422, [
    'A value cannot be stored at the destination without changing it.',
    'See `forebay dlq show`; correct the data or the destination column, then replay.',
  ]),
  constraint_violated: entry('data', 5, 422, [
    'The destination refused a row because of one of its constraints.',
    'Correct the row or the constraint, then `forebay dlq replay`.',
  ]),
  error_budget: entry('data', 1, 422, [
    'More rows were refused than the error budget allows.',
    'Look at `forebay dlq list`, mend the cause, then run again; or allow more with --error-budget.',
  ]),
  conflict: entry('transient', 75, 409, [
    'The database resolved a deadlock, lock timeout or serialization conflict against us.',
    'Nothing is lost: the batch is applied again.',
  ]),
  table_rewritten: entry('transient', 75, 409, [
    'A table was written anew at the source (TRUNCATE, VACUUM FULL, a change of type) while its snapshot was read.',
    'Run the same command again: the table is read under a new snapshot.',
  ]),
  table_held: entry('transient', 75, 409, [
    'Somebody holds a table of the source with a lock that lets nobody read it.',
    'End the transaction that holds it (pg_locks names it); the table is read when it is free.',
  ]),
  encoding_changed: entry('transient', 1, 409, [
    'A column appeared whose values can only be read as text; the change stream is opened again.',
    'Nothing to do.',
  ]),
  protocol: entry('bug', 1, 502, [
    'The server sent something that the protocol does not allow.',
    'Please report this with the output of `forebay --version`.',
  ]),
  interrupted: entry('transient', 130, 499, [
    'The run was interrupted.',
    'Run the same command again.',
  ]),
  failpoint: entry('transient', 1, 500, [
    'A failpoint that was switched on in FOREBAY_FAILPOINTS threw.',
    'Unset FOREBAY_FAILPOINTS.',
  ]),
  dlq_entry_missing: entry('config', 2, 404, [
    'No dead letter has this id.',
    'Run `forebay dlq list`.',
  ]),
  confirmation_missing: entry('config', 2, 400, [
    'The command removes something and was not confirmed.',
    'Add --yes.',
  ]),
  internal: entry('bug', 1, 500, [
    'Something happened that should be impossible.',
    'Please report this with the command and the output of `forebay --version`.',
  ]),
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERROR_TABLE;

export interface ErrorDetails {
  /** What happened, naming the thing; no row values, no secrets. */
  readonly message: string;
  /** The cause in the words of the system, shown as "why". */
  readonly why?: string;
  /** Replaces the fix of the table where the place that throws knows a better one. */
  readonly fix?: string;
  readonly stream?: string;
  /** The system's own code (SQLSTATE, errno), for `permanent_error_codes` and logs. */
  readonly systemCode?: string;
  readonly cause?: unknown;
}

export class ForebayError extends Error {
  readonly code: ErrorCode;
  readonly why: string | null;
  readonly fix: string;
  readonly stream: string | null;
  readonly systemCode: string | null;

  constructor(code: ErrorCode, details: ErrorDetails) {
    super(details.message, details.cause === undefined ? {} : { cause: details.cause });
    this.name = 'ForebayError';
    this.code = code;
    this.why = details.why ?? null;
    this.fix = details.fix ?? ERROR_TABLE[code].fix;
    this.stream = details.stream ?? null;
    this.systemCode = details.systemCode ?? null;
  }

  get class(): ErrorClass {
    return ERROR_TABLE[this.code].class;
  }

  get exitCode(): ExitCode {
    return ERROR_TABLE[this.code].exit;
  }
}

/** Wraps what is not ours, so that every failure that leaves a boundary has a code. */
export function asForebayError(error: unknown, fallback: ErrorCode = 'internal'): ForebayError {
  if (error instanceof ForebayError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new ForebayError(fallback, { message, cause: error });
}

/** The error as it stands in results, events and documents; stable and versioned with them. */
export interface ErrorReport {
  readonly code: ErrorCode;
  readonly class: ErrorClass;
  readonly message: string;
  readonly fix: string;
  readonly stream: string | null;
}

export function reportError(error: ForebayError): ErrorReport {
  const message = error.why === null ? error.message : `${error.message}: ${error.why}`;
  return { code: error.code, class: error.class, message, fix: error.fix, stream: error.stream };
}
