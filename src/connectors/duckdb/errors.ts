import { type ErrorCode, ForebayError } from '../../core/errors.ts';

/** DuckDB's classes of errors, as the first words of its messages. */
type Rule = readonly [pattern: RegExp, code: ErrorCode, message: string, fix?: string];

const RULES: readonly Rule[] = [
  // These quote values, which may hold any words: they come before the rules that look for words.
  [
    /^Constraint Error|^TransactionContext Error: Failed to commit: .*constraint/,
    'constraint_violated',
    'A constraint of the destination table refused a row',
  ],
  [/^Conversion Error/, 'value_rejected', 'A value cannot be cast to another type'],
  [/failed to offload|max_temp_directory_size/i, 'disk_full', 'The temporary directory is full'],
  // Also while a log is replayed or a transaction committed, which other rules would take for something else.
  [
    /^Out of Memory Error|could not allocate block/,
    'memory_exhausted',
    'DuckDB needs more memory than it may use',
  ],
  [/Conflicting lock is held/, 'file_locked', 'Another process has the database file open'],
  [
    /Could not set lock on file/,
    'file_locked',
    'Another process has the database file open, or the file system knows no locks',
  ],
  [
    /No space left|disk is full|Could not write .*space/i,
    'disk_full',
    'The disk of the DuckDB file is full',
  ],
  [/read-only|Permission denied/i, 'read_only', 'The database file cannot be written'],
  [
    /database file with version number|storage version greater than|newer version/i,
    'newer_version',
    'The file was written by a DuckDB whose format this one does not read',
    'Upgrade forebay, or bring the data into a new file with the DuckDB that wrote this one (EXPORT DATABASE).',
  ],
  [
    /not a valid DuckDB database|Is a directory|Corrupt|checksum|Failure while replaying WAL|Serialization Error|Could not read enough bytes/i,
    'database_damaged',
    'The file is no DuckDB database, or it is damaged',
  ],
  [
    /No such file or directory|does not exist in/i,
    'database_missing',
    'The database file or its directory does not exist',
  ],
  [/conflict/i, 'conflict', 'Another transaction in the file got in the way'],
  [/^Catalog Error: Table/, 'table_missing', 'A table does not exist'],
  [/^Binder Error: .*[Cc]olumn/, 'column_missing', 'A column does not exist'],
  [
    /^Dependency Error/,
    'destination_incompatible',
    'Something depends on the table and keeps it as it is',
  ],
];

/** DuckDB's messages quote values and statements; only the part that names things is kept. */
function reasonOf(text: string, code: ErrorCode): string | null {
  const format = /version number (\d+), but we can only read versions between (\d+ and \d+)/.exec(
    text,
  );
  if (format) return `format ${format[1]}, readable are ${format[2]}`;
  const pid = /lock is held in (\S+ \(PID \d+\)|PID \d+)/.exec(text);
  if (pid) return `held by ${pid[1]}`;
  if (code === 'constraint_violated') {
    const named =
      /^Constraint Error: (NOT NULL|CHECK|UNIQUE|PRIMARY KEY|Duplicate key|Violates foreign key)/i;
    return named.exec(text)?.[1] ?? null;
  }
  // What cannot be read or bound is told by names; the statement follows on further lines.
  const unbound = /^(?:Parser|Binder|Catalog) Error: [^\n]+/.exec(text);
  if (unbound) return unbound[0];
  if (code === 'internal') return /^[A-Z][A-Za-z ]+ Error/.exec(text)?.[0] ?? null;
  return null;
}

/** Gives an error of DuckDB's its code. `subject` names what it is about (a file, a table). */
export function duckdbError(error: unknown, subject: string): ForebayError {
  if (error instanceof ForebayError) return error;
  const text = error instanceof Error ? error.message : String(error);
  const rule = RULES.find(([pattern]) => pattern.test(text));
  const code = rule?.[1] ?? 'internal';
  const why = reasonOf(text, code);
  const systemCode = /^([A-Z][A-Za-z ]+ Error)/.exec(text)?.[1];
  return new ForebayError(code, {
    message: `${rule?.[2] ?? 'DuckDB failed'} (${subject})`,
    ...(why === null ? {} : { why }),
    ...(rule?.[3] === undefined ? {} : { fix: rule[3] }),
    ...(systemCode === undefined ? {} : { systemCode }),
  });
}

/** An error as it crosses from the worker to the main thread. */
export interface PortableError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly why: string | null;
  readonly fix: string;
  readonly stream: string | null;
  readonly systemCode: string | null;
}

export function packError(error: ForebayError): PortableError {
  const { code, message, why, fix, stream, systemCode } = error;
  return { code, message, why, fix, stream, systemCode };
}

export function unpackError(error: PortableError): ForebayError {
  const { code, message, why, fix, stream, systemCode } = error;
  return new ForebayError(code, {
    message,
    fix,
    ...(why === null ? {} : { why }),
    ...(stream === null ? {} : { stream }),
    ...(systemCode === null ? {} : { systemCode }),
  });
}

export function withStream(error: ForebayError, stream: string): ForebayError {
  return error.stream === null ? unpackError({ ...packError(error), stream }) : error;
}
