/** What a source's own query makes of rows for a projection (`core/projection.ts`). */
import type { Predicate, ProjectedColumn, Projection } from '../../core/projection.ts';
import type { StreamSchema } from '../../core/stream-schema.ts';
import type { CellEncoding } from '../../core/value.ts';
import { type ColumnNow, columnNow, type HeldTable } from './held-table.ts';
import { quoteIdent, quoteLiteral } from './sql.ts';

export interface ProjectionSource {
  readonly held: HeldTable;
  readonly schema: StreamSchema;
  readonly dropped: 'null' | 'fail';
}

/** By the type's own output function, as cells of text are. */
function textOf({ name, output }: ColumnNow): string {
  return `pg_catalog.textin(${output}(${quoteIdent(name)}))`;
}

/** Of a row type whose fields are all NULL, `IS NULL` is true; a comparison with the constant NULL looks at the value. */
function isNull({ name }: ColumnNow): string {
  return `(${quoteIdent(name)} IS NOT DISTINCT FROM NULL)`;
}

/** The columns of a projection for COPY BINARY; encodings as for `selectList`. */
export function projectedList(
  source: ProjectionSource,
  { columns, schema }: Projection,
  encodings: readonly CellEncoding[] | null,
): string {
  return columns
    .map((projected, index) => {
      const type = schema.columns[index];
      // JSON's binary form is its text; a native jsonb value would carry a version byte.
      const binary = encodings?.[index] !== 'text' && type !== undefined;
      const asText = encodings !== null && (!binary || type.type.kind === 'json');
      const native = asText || type === undefined ? 'pg_catalog.text' : type.nativeType;
      return valueSql(source, projected, { asText, native });
    })
    .join(', ');
}

function valueSql(
  source: ProjectionSource,
  projected: ProjectedColumn,
  as: { readonly asText: boolean; readonly native: string },
): string {
  if (projected.kind === 'constant')
    return projected.text === null ? 'NULL' : `${quoteLiteral(projected.text)}::${as.native}`;
  const now = columnNow(source.held, source.schema, projected.column, source.dropped);
  if (now === null) return 'NULL';
  switch (projected.kind) {
    case 'column':
      return as.asText ? textOf(now) : quoteIdent(now.name);
    case 'prefix':
      return `pg_catalog."left"(${textOf(now)}, ${projected.characters})`;
    case 'replaced':
      return `CASE WHEN ${isNull(now)} THEN NULL ELSE ${quoteLiteral(projected.text)}::pg_catalog.text END`;
  }
}

const UNKNOWN = 'NULL::pg_catalog.bool';

type ColumnPredicate = Extract<Predicate, { readonly column: number }>;

/** In parentheses where it is put together from parts. */
export function predicateSql(source: ProjectionSource, predicate: Predicate): string {
  switch (predicate.kind) {
    case 'constant':
      return predicate.value === null ? UNKNOWN : String(predicate.value);
    case 'not':
      return `(NOT ${predicateSql(source, predicate.part)})`;
    case 'and':
    case 'or': {
      const parts = predicate.parts.map((part) => predicateSql(source, part));
      if (parts.length === 0) return String(predicate.kind === 'and');
      return `(${parts.join(predicate.kind === 'and' ? ' AND ' : ' OR ')})`;
    }
    case 'is-null':
    case 'is-true':
    case 'number':
    case 'text':
    case 'value': {
      const now = columnNow(source.held, source.schema, predicate.column, 'null');
      if (now === null) return predicate.kind === 'is-null' ? 'true' : UNKNOWN;
      return columnSql(now, predicate);
    }
  }
}

function columnSql(now: ColumnNow, predicate: ColumnPredicate): string {
  switch (predicate.kind) {
    case 'is-null':
      return isNull(now);
    case 'is-true':
      return quoteIdent(now.name);
    case 'number': {
      const { operator, number } = predicate;
      return `(${quoteIdent(now.name)} OPERATOR(pg_catalog.${operator}) ${quoteLiteral(number)}::pg_catalog.numeric)`;
    }
    case 'value': {
      const { operator, text } = predicate;
      return `(${quoteIdent(now.name)} OPERATOR(pg_catalog.${operator}) ${quoteLiteral(text)}::${now.nativeType})`;
    }
    case 'text': {
      const { operator, text } = predicate;
      return `(${textOf(now)} COLLATE pg_catalog."C" OPERATOR(pg_catalog.${operator}) ${quoteLiteral(text)})`;
    }
  }
}
