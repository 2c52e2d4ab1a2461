/**
 * A table as a statement must name it now. Statements find tables and columns by the names of the catalog as it is,
 * whatever snapshot they read under, so names are looked up by identity while a lock keeps them as they are.
 */
import { ForebayError } from '../../core/errors.ts';
import { streamId, type StreamSchema } from '../../core/stream-schema.ts';
import type { CellEncoding } from '../../core/value.ts';
import type { PgConnection } from './connection.ts';
import { quoteIdent, quoteName } from './sql.ts';

/** SQLSTATE of a wait for a lock that took too long. */
const LOCK_NOT_AVAILABLE = '55P03';
/** How long what must not keep the change stream waits for a lock. */
export const SHORT_WAIT = "lock_timeout = '300ms'";

const NAME_SQL = `
SELECT n.nspname, c.relname FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1::oid`;

/** The file of a table now, the table that has the name now, and whether the table belongs to the stream's. */
const HELD_SQL = `
SELECT pg_catalog.pg_relation_filenode($1::oid)::text, pg_catalog.to_regclass($2)::oid::text,
  $1::oid = $3::oid OR $3::oid IN (SELECT * FROM pg_catalog.pg_partition_ancestors($1::oid))`;

/** Output function per column; a domain has its base type's. */
const COLUMNS_SQL = `
SELECT a.attnum::text, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod),
  t.typoutput::pg_catalog.regproc::text
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped`;

export interface ColumnNow {
  readonly name: string;
  readonly nativeType: string;
  readonly output: string;
}

export interface HeldTable {
  /** Quoted, for statements on the connection that holds it. */
  readonly name: string;
  readonly fileNumber: string;
  /** False for a partition that was detached: the columns here are not its own. */
  readonly attached: boolean;
  /** By attribute number of the stream's table, which may be another in its partitions. */
  readonly columns: ReadonlyMap<string, ColumnNow>;
}

function missing(schema: StreamSchema): ForebayError {
  const id = streamId(schema.stream);
  return new ForebayError('table_missing', {
    message: `table ${id}, or a part of it, does not exist any more`,
    stream: id,
  });
}

/**
 * Begins a transaction on `holder` that keeps the table (one of the stream's partitions, or the stream's own) as it
 * is until it ends. `catalog` is outside of that transaction: one with a snapshot would show the names of then.
 */
export async function holdTable(
  connections: { readonly catalog: PgConnection; readonly holder: PgConnection },
  table: { readonly schema: StreamSchema; readonly oid: string; readonly only: boolean },
  begin: string,
): Promise<HeldTable> {
  const { catalog, holder } = connections;
  const { schema, oid } = table;
  const [named] = (await catalog.query(NAME_SQL, [oid])).rows;
  if (named === undefined) throw missing(schema);
  const name = quoteName({ namespace: named[0] ?? '', name: named[1] ?? '' });
  const locked = table.only ? `ONLY ${name}` : name;
  await holder.execute(`${begin}; LOCK TABLE ${locked} IN ACCESS SHARE MODE`);
  const [held] = (await catalog.query(HELD_SQL, [oid, name, schema.ref])).rows;
  // The name went to another table while the lock was waited for.
  if (held?.[1] !== oid) throw missing(schema);
  const columns = (await catalog.query(COLUMNS_SQL, [schema.ref])).rows.map(
    ([ref, column, nativeType, output]) =>
      [
        ref ?? '',
        { name: column ?? '', nativeType: nativeType ?? '', output: output ?? '' },
      ] as const,
  );
  return {
    name,
    fileNumber: held[0] ?? '',
    attached: held[2] === 't',
    columns: new Map(columns),
  };
}

/** Waits for a lock are cut short where the connection says so; what ends such a wait is told as what it is. */
export async function asTableHeld<T>(
  schema: StreamSchema | null,
  act: () => Promise<T>,
): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof ForebayError) || error.systemCode !== LOCK_NOT_AVAILABLE) throw error;
    const id = schema === null ? null : streamId(schema.stream);
    throw new ForebayError('table_held', {
      message: `${id ?? 'a table'} is held by somebody at the source`,
      ...(error.why === null ? {} : { why: error.why }),
      ...(id === null ? {} : { stream: id }),
      cause: error,
    });
  }
}

/** Types without their limits, which change neither form nor meaning of a value. */
function unlimited(nativeType: string): string {
  const bare = nativeType.replaceAll(/\(\d+(?:,-?\d+)?\)/g, '');
  return bare === 'character varying' ? 'text' : bare;
}

/** The name that a column has now; null if it is gone. Fails if its values are no longer those that are known. */
function nameNow(held: HeldTable, schema: StreamSchema, index: number): ColumnNow | null {
  const column = schema.columns[index];
  const now = held.columns.get(column?.ref ?? '') ?? null;
  if (column === undefined || now === null) return null;
  if (unlimited(now.nativeType) === unlimited(column.nativeType)) return now;
  throw new ForebayError('schema_change', {
    message: `column ${column.name} of ${streamId(schema.stream)} changed from ${column.nativeType} to ${now.nativeType}`,
    stream: streamId(schema.stream),
  });
}

/** What a column is called now; null for one that is gone, where that may be taken for NULL. */
export function columnNow(
  held: HeldTable,
  schema: StreamSchema,
  index: number,
  dropped: 'null' | 'fail',
): ColumnNow | null {
  const now = nameNow(held, schema, index);
  if (now !== null || (dropped === 'null' && !schema.key.includes(index))) return now;
  const id = streamId(schema.stream);
  throw new ForebayError('column_missing', {
    message: `column ${schema.columns[index]?.name ?? ''} of ${id} was dropped`,
    stream: id,
  });
}

/** The name that a column has now, quoted, for a statement that cannot do without it. */
export function columnName(held: HeldTable, schema: StreamSchema, index: number): string {
  return quoteIdent(columnNow(held, schema, index, 'fail')?.name ?? '');
}

/**
 * The columns of a stream in the wished encodings, for COPY BINARY; null for all in their own. Text is made by the
 * type's own output function, as the change stream does: a cast to text differs from it for char(n), inet, boolean
 * and others. A dropped column has no values any more: NULL if `dropped` allows it and it is not of the key.
 */
export function selectList(
  held: HeldTable,
  schema: StreamSchema,
  how: { readonly encodings: readonly CellEncoding[] | null; readonly dropped: 'null' | 'fail' },
): string {
  const { encodings, dropped } = how;
  return schema.columns
    .map((column, index) => {
      const now = columnNow(held, schema, index, dropped);
      if (now === null) return 'NULL';
      const name = quoteIdent(now.name);
      if (encodings === null) return name;
      // JSON's binary form is its text; a native jsonb value would carry a version byte.
      const asText = encodings[index] === 'text' || column.type.kind === 'json';
      return asText ? `pg_catalog.textin(${now.output}(${name}))` : name;
    })
    .join(', ');
}
