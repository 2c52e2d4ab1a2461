/**
 * The one table of error codes. Every failure a user can see has a row here: its class decides retry,
 * dead letter or halt; its exit code is what the command line ends with. Nobody matches on message text.
 */

import { CONTROL_ERRORS } from './control-error-table.ts';
import { entry, type ErrorEntry } from './error-entry.ts';

export type { ErrorClass, ExitCode } from './error-entry.ts';

export const ERROR_TABLE = {
  ...CONTROL_ERRORS,
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
  configuration_invalid: entry('config', 2, 422, [
    'A configuration file breaks a rule of its format, or names what is not there.',
    'Run `forebay validate <config.yaml>`: it lists every violation with its place.',
  ]),
  unreachable: entry('transient', 3, 424, [
    'No connection to the server could be made.',
    'Check host, port, network and that the server is running.',
  ]),
  connection_lost: entry('transient', 75, 424, [
    'The connection to the server broke while working.',
    'Nothing is lost: run the same command again to go on from the last checkpoint.',
  ]),
  server_starting: entry('transient', 75, 503, [
    'The server is starting up, shutting down or has no free connection.',
    'Wait for the server, or raise its connection limit.',
  ]),
  timeout: entry('timeout', 75, 424, [
    'The server did not answer in time.',
    'Check the network and the load of the server, then run the command again.',
  ]),
  tls_refused: entry('config', 3, 424, [
    'TLS was required but the server refused it or its certificate could not be verified.',
    'Give the CA with sslrootcert=, correct the host name, or choose another sslmode knowingly.',
  ]),
  authentication_failed: entry('auth', 4, 401, [
    'The server refused the user or the password.',
    'Correct user and password; keep the URL in an environment variable and pass env:NAME.',
  ]),
  certificate_unreadable: entry('config', 3, 422, [
    'A file with a certificate or a private key cannot be read, or holds none in PEM.',
    'Correct the path, make the file readable for this user, or convert it to PEM.',
  ]),
  key_passphrase: entry('config', 3, 422, [
    'The private key is encrypted, and its passphrase is missing or wrong.',
    'Give the passphrase of the key (sslpassword= in a URL, passphrase in a configuration file).',
  ]),
  key_mismatch: entry('config', 3, 422, [
    'The private key belongs to another certificate.',
    'Give the key that the certificate was requested with.',
  ]),
  certificate_expired: entry('auth', 4, 401, [
    'The client certificate has expired, or is not yet valid.',
    'Renew the certificate, or set the clock of this machine; a file that is replaced is taken at the next connection.',
  ]),
  certificate_refused: entry('auth', 4, 401, [
    'The server does not accept the client certificate, or not for this user.',
    'Have it signed by a CA that the server trusts, and let its common name (or a map of the server) name the user.',
  ]),
  token_unavailable: entry('transient', 75, 424, [
    'The issuer of access tokens cannot be reached, or failed.',
    'Check the network to the issuer; the connection is tried again.',
  ]),
  token_not_issued: entry('auth', 4, 401, [
    'The issuer refused to give an access token.',
    'Correct tenant, client and secret or certificate, and see that the identity exists and may ask for this scope.',
  ]),
  token_expired: entry('auth', 4, 401, [
    'The access token is past its end.',
    'Set the clock of this machine; if it is right, look at the issuer: it gives tokens that are no longer valid.',
  ]),
  token_refused: entry('auth', 4, 401, [
    'The server does not accept the access token for this user.',
    'Make the identity a role of the database, connect as that role, and see that the scope is the one of the server.',
  ]),
  plain_connection: entry('config', 3, 403, [
    'An access token would go over a connection without TLS.',
    'Switch TLS on at the server, and leave sslmode out of the URL.',
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
  not_published: entry('schema', 3, 409, [
    'A table is not in the publication that was given to the pipeline.',
    'Add it with ALTER PUBLICATION ... ADD TABLE, leave it out, or let the pipeline make its own publication.',
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
  service_running: entry('config', 3, 409, [
    'A service with this configuration file runs on this machine already.',
    'Edit the file: the running service takes the change; or stop that service first.',
  ]),
  port_in_use: entry('config', 3, 409, [
    'A port that the service answers on is taken, or may not be opened.',
    'Give another health_port or metrics_port in the configuration file, or free the port.',
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
  transform_failed: entry('data', 5, 422, [
    'A transformation failed on a row, and the error handling of the stream is to stop then.',
    'Correct the transformation or the row, or choose another error handling; then `forebay recover`.',
  ]),
  fields_added: entry('transient', 75, 409, [
    'Transformed rows of a chunk had fields that the table had no column for; it has them now, and the chunk is read again.',
    'Nothing to do.',
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
  protocol: entry('bug', 1, 424, [
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
  dead_letter_file: entry('config', 1, 500, [
    'The file for dead letters cannot be written.',
    'Make its folder writable, or give another dead_letter_destination.',
  ]),
  transform_specification: entry('config', 2, 400, [
    'A transformation cannot be built as it is specified.',
    'Correct the specification at the place that is named; docs/transformations.md has its language.',
  ]),
  transform_json: entry('data', 5, 422, [
    'A document that is to be transformed is no JSON, or no object.',
    'Look at it with `forebay dlq show`; correct the source.',
  ]),
  transform_cast: entry('data', 5, 422, [
    'A value cannot be said in the type it is cast to.',
    'Correct the data, or cast to a type that takes it (text takes all), then `forebay dlq replay`.',
  ]),
  transform_expression: entry('data', 5, 422, [
    'An expression has no value for a document: types that do not go together, or a division by zero.',
    'Guard the expression with case, coalesce or a cast, then `forebay dlq replay`.',
  ]),
  transform_mapping: entry('data', 5, 422, [
    'A column cannot be put where the mapping wants it, because something else is there.',
    'Drop or rename what is in the way, then `forebay dlq replay`.',
  ]),
  transform_mask: entry('data', 5, 422, [
    'A value does not have the form that its mask can keep.',
    'Mask the column with hash or tokenise, or set `short: redact`, then `forebay dlq replay`.',
  ]),
  transform_module: entry('data', 5, 422, [
    "A transformation's module threw, or returned what is no document.",
    'Correct the module, then `forebay dlq replay`.',
  ]),
  transform_timeout: entry('data', 5, 422, [
    'Transforming a document took longer than it may.',
    'Look for a loop in the module or specification, then `forebay dlq replay`.',
  ]),
  transform_memory: entry('data', 5, 422, [
    'Transforming a document took more memory than it may.',
    'Look for what the module or specification piles up, then `forebay dlq replay`.',
  ]),
  kazaam_spec: entry('config', 2, 400, [
    'A Kazaam specification cannot be loaded, or an operation in it cannot be carried out.',
    'Correct the specification; docs/kazaam.md says what each operation takes.',
  ]),
  kazaam_parse: entry('data', 5, 422, [
    'A document is no JSON, or an operation met a value that it cannot read.',
    'Correct the document, or the operation that reads the value.',
  ]),
  kazaam_require: entry('data', 5, 422, [
    'A document lacks a path that the specification requires.',
    'Correct the document, or take `require` from the operation.',
  ]),
  dlq_entry_missing: entry('config', 2, 404, [
    'No dead letter has this id.',
    'Run `forebay dlq list`.',
  ]),
  confirmation_missing: entry('config', 2, 400, [
    'The command removes or changes something and was not confirmed.',
    'Add --yes.',
  ]),
  internal: entry('bug', 1, 500, [
    'Something happened that should be impossible.',
    'Please report this with the command and the output of `forebay --version`.',
  ]),
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERROR_TABLE;
