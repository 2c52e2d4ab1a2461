/**
 * Compares two databases by content with SQL of their own, apart from everything that moved the rows: per table
 * the count and the sum of a hash of each row's text, which does not depend on the order of rows.
 */
import type { DuckDBConnection } from '@duckdb/node-api';
import type { PgConnection } from '../../connectors/postgres/connection.ts';

export interface ComparedTable {
  readonly stream: string;
  readonly sourceRows: number;
  readonly destinationRows: number;
  readonly sourceHash: string;
  readonly destinationHash: string;
  readonly identical: boolean;
  /** Columns that are missing or whose content differs. */
  readonly differing: readonly string[];
}

/** Expressions that give the same text for the same value on both sides. */
interface TextPair {
  readonly source: string;
  readonly destination: string;
}

interface ComparedColumn {
  readonly name: string;
  readonly texts: TextPair;
}

interface Digest {
  readonly rows: number;
  readonly hash: string;
}

function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function finite(column: string, test: string, whenFinite: string): string {
  return `case when ${test} then ${whenFinite} else cast(${column} as varchar) end`;
}

function intervalTexts(c: string): TextPair {
  const months = `cast(extract(year from ${c}) * 12 + extract(month from ${c}) as bigint)`;
  const days = `cast(extract(day from ${c}) as bigint)`;
  const clock = `extract(hour from ${c}) * 3600000000 + extract(minute from ${c}) * 60000000`;
  const micros = `cast(${clock} + extract(microsecond from ${c}) as bigint)`;
  const text = `${months} || ' ' || ${days} || ' ' || ${micros}`;
  return { source: text, destination: text };
}

/** By the destination's type, since that decides which form the value has there. */
function textPair(c: string, type: string): TextPair {
  const asText = { source: `format('%s', ${c})`, destination: `cast(${c} as varchar)` };
  if (type.endsWith('[]')) {
    return { source: `array_to_json(${c})::text`, destination: `to_json(${c})::varchar` };
  }
  switch (type) {
    case 'BOOLEAN':
      return { ...asText, destination: `if(${c}, 't', 'f')` };
    case 'FLOAT':
    case 'DOUBLE': {
      const [send, bits] = type === 'FLOAT' ? ['float4send', 32] : ['float8send', 64];
      const source = `('x' || encode(${send}(${c}), 'hex'))::bit(${bits})::text`;
      return { source, destination: `${c}::bit::varchar` };
    }
    case 'BLOB':
      return { source: `encode(${c}, 'hex')`, destination: `lower(hex(${c}))` };
    case 'DATE': {
      const days = `cast(${c} - date '2000-01-01' as varchar)`;
      return {
        source: finite(c, `isfinite(${c})`, days),
        destination: finite(c, `not isinf(${c})`, days),
      };
    }
    case 'TIMESTAMP':
    case 'TIMESTAMP WITH TIME ZONE': {
      const micros = `cast(cast(extract(epoch from ${c}) * 1000000 as bigint) as varchar)`;
      return {
        source: finite(c, `isfinite(${c})`, micros),
        destination: finite(c, `not isinf(${c})`, `cast(epoch_us(${c}) as varchar)`),
      };
    }
    case 'INTERVAL':
      return intervalTexts(c);
    default:
      return asText;
  }
}

// `is not null` is false for a row value with a NULL in it; `is distinct from` asks for the value itself.
function rowText(columns: readonly ComparedColumn[], side: keyof TextPair): string {
  if (columns.length === 0) return "''";
  return columns
    .map(
      ({ name, texts }) =>
        `coalesce(case when ${quote(name)} is distinct from null then ${texts[side]} end, chr(1))`,
    )
    .join(` || chr(31) || `);
}

function printHash(sum: string | null): string {
  return BigInt.asUintN(64, BigInt(sum ?? '0'))
    .toString(16)
    .padStart(16, '0');
}

async function sourceDigest(
  source: PgConnection,
  stream: string,
  columns: readonly ComparedColumn[],
): Promise<Digest> {
  const sql = `select count(*), sum(('x' || left(md5(${rowText(columns, 'source')}), 15))::bit(60)::bigint) from ${stream}`;
  const { rows } = await source.query(sql);
  const [count, sum] = rows[0] ?? [];
  return { rows: Number(count ?? 0), hash: printHash(sum ?? null) };
}

async function destinationDigest(
  destination: DuckDBConnection,
  stream: string,
  columns: readonly ComparedColumn[],
): Promise<Digest> {
  // Without a column in common there is no table, or none to speak of.
  if (columns.length === 0) return { rows: 0, hash: printHash(null) };
  const sql = `select count(*)::varchar, sum(('0x' || left(md5(${rowText(columns, 'destination')}), 15))::bigint)::varchar from ${stream}`;
  const [row = []] = (await destination.runAndReadAll(sql)).getRowsJson();
  const [count, sum] = row;
  return { rows: Number(count), hash: printHash(typeof sum === 'string' ? sum : null) };
}

interface SourceColumn {
  readonly name: string;
  readonly generated: boolean;
}

async function sourceColumns(
  source: PgConnection,
  stream: string,
): Promise<readonly SourceColumn[]> {
  const { rows } = await source.query(
    `select attname, attgenerated <> '' from pg_attribute
     where attrelid = $1::regclass and attnum > 0 and not attisdropped order by attnum`,
    [stream],
  );
  return rows.map(([name, generated]) => ({ name: name ?? '', generated: generated === 't' }));
}

async function destinationTypes(
  destination: DuckDBConnection,
  table: { readonly namespace: string; readonly name: string },
): Promise<ReadonlyMap<string, string>> {
  const reader = await destination.runAndReadAll(
    'select column_name, data_type from duckdb_columns() where schema_name = $1 and table_name = $2',
    [table.namespace, table.name],
  );
  const texts = reader
    .getRowsJson()
    .map((row) => row.map((value) => (typeof value === 'string' ? value : '')));
  return new Map(texts.map(([name = '', type = '']) => [name, type]));
}

/** Finds which columns differ, one by one; only asked when the rows do. */
async function differingColumns(
  sides: Sides,
  stream: string,
  columns: readonly ComparedColumn[],
): Promise<readonly string[]> {
  const found: string[] = [];
  for (const column of columns) {
    const source = await sourceDigest(sides.source, stream, [column]);
    const destination = await destinationDigest(sides.destination, stream, [column]);
    if (source.hash !== destination.hash) found.push(column.name);
  }
  return found;
}

export interface Sides {
  readonly source: PgConnection;
  readonly destination: DuckDBConnection;
}

async function compareTable(
  sides: Sides,
  table: { readonly namespace: string; readonly name: string },
): Promise<ComparedTable> {
  const stream = `${quote(table.namespace)}.${quote(table.name)}`;
  const types = await destinationTypes(sides.destination, table);
  const wanted = await sourceColumns(sides.source, stream);
  const columns = wanted.flatMap(({ name }): ComparedColumn[] => {
    const type = types.get(name);
    return type === undefined ? [] : [{ name, texts: textPair(quote(name), type) }];
  });
  // A generated column is not sent; a destination may leave it out.
  const missing = wanted
    .filter(({ name, generated }) => !generated && !types.has(name))
    .map(({ name }) => name);
  const source = await sourceDigest(sides.source, stream, columns);
  const destination = await destinationDigest(sides.destination, stream, columns);
  const same = source.rows === destination.rows && source.hash === destination.hash;
  return {
    stream: `${table.namespace}.${table.name}`,
    sourceRows: source.rows,
    destinationRows: destination.rows,
    sourceHash: source.hash,
    destinationHash: destination.hash,
    identical: same && missing.length === 0,
    differing: [...missing, ...(same ? [] : await differingColumns(sides, stream, columns))],
  };
}

/** Compares every ordinary table of a schema of the source. */
export async function compareSchema(
  sides: Sides,
  namespace: string,
): Promise<readonly ComparedTable[]> {
  const { rows } = await sides.source.query(
    `select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = $1 and c.relkind in ('r', 'p') order by 1`,
    [namespace],
  );
  const compared: ComparedTable[] = [];
  for (const [name] of rows) {
    compared.push(await compareTable(sides, { namespace, name: name ?? '' }));
  }
  return compared;
}
