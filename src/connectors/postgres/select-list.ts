import type { StreamSchema } from '../../core/stream-schema.ts';
import type { CellEncoding } from '../../core/value.ts';
import type { PgConnection } from './connection.ts';
import { quoteIdent } from './sql.ts';

/** Output function per column; a domain has its base type's. */
const OUTPUT_SQL = `
SELECT a.attname, t.typoutput::pg_catalog.regproc::text
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped`;

/**
 * The columns of a stream in the wished encodings, for COPY BINARY. Text is made by the type's own output
 * function, as the change stream does: a cast to text differs from it for char(n), inet, boolean and others.
 */
export async function selectList(
  connection: PgConnection,
  schema: StreamSchema,
  encodings: readonly CellEncoding[],
): Promise<string> {
  const { rows } = await connection.query(OUTPUT_SQL, [schema.ref]);
  const outputs = new Map(rows.map(([name, output]) => [name ?? '', output ?? '']));
  return schema.columns
    .map((column, index) => {
      const name = quoteIdent(column.name);
      const output = outputs.get(column.name);
      // JSON's binary form is its text; a native jsonb value would carry a version byte.
      const asText = encodings[index] === 'text' || column.type.kind === 'json';
      return asText && output !== undefined ? `pg_catalog.textin(${output}(${name}))` : name;
    })
    .join(', ');
}
