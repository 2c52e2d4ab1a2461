/** Types that a configuration names, in each dialect as its catalog prints them. */
import { z } from 'zod';
import type { WarehouseDialect } from './warehouse.ts';

const NAMES: Readonly<Record<string, readonly [duckdb: string, postgres: string]>> = {
  boolean: ['BOOLEAN', 'boolean'],
  int16: ['SMALLINT', 'smallint'],
  int32: ['INTEGER', 'integer'],
  int64: ['BIGINT', 'bigint'],
  float32: ['FLOAT', 'real'],
  float64: ['DOUBLE', 'double precision'],
  text: ['VARCHAR', 'text'],
  date: ['DATE', 'date'],
  time: ['TIME', 'time without time zone'],
  timestamp: ['TIMESTAMP', 'timestamp without time zone'],
  timestamptz: ['TIMESTAMP WITH TIME ZONE', 'timestamp with time zone'],
  uuid: ['UUID', 'uuid'],
  json: ['JSON', 'json'],
};
const DECIMAL = /^decimal\((\d{1,2}),(\d{1,2})\)$/;
/** DuckDB's limit; more digits would be another type in each warehouse. */
const MOST_DIGITS = 38;

export const columnTypeSchema = z
  .string()
  .refine((text) => sqlType('duckdb', text) !== null, {
    error: `Write one of ${Object.keys(NAMES).join(', ')}, or decimal(precision,scale) with at most ${MOST_DIGITS} digits`,
  })
  .describe('Type of a column');

/** Null for a name that is none. */
export function sqlType(dialect: WarehouseDialect, name: string): string | null {
  if (Object.hasOwn(NAMES, name)) return NAMES[name]?.[dialect === 'duckdb' ? 0 : 1] ?? null;
  const [, precision, scale] = DECIMAL.exec(name) ?? [];
  if (precision === undefined || scale === undefined) return null;
  const digits = Number(precision);
  if (digits < 1 || digits > MOST_DIGITS || Number(scale) > digits) return null;
  const list = `(${digits},${Number(scale)})`;
  return dialect === 'duckdb' ? `DECIMAL${list}` : `numeric${list}`;
}

/** Types of the columns that layers add. */
export function ownType(
  dialect: WarehouseDialect,
  name: 'text' | 'timestamptz' | 'int64' | 'boolean',
): string {
  return NAMES[name]?.[dialect === 'duckdb' ? 0 : 1] ?? '';
}

/** SQL that is NULL where the text form of the value does not read as the type. */
export function castOrNull(dialect: WarehouseDialect, expression: string, type: string): string {
  if (dialect === 'duckdb') return `TRY_CAST(${expression} AS ${type})`;
  const text = `CAST(${expression} AS text)`;
  return `CASE WHEN _forebay.reads_as(${text}, '${type}') THEN CAST(${text} AS ${type}) END`;
}

/** PostgreSQL has a question of its own for this from release 16 on; before, a refused cast costs a subtransaction. */
export const READS_AS = `
DO $make$
BEGIN
  IF to_regprocedure('_forebay.reads_as(text,text)') IS NOT NULL THEN RETURN; END IF;
  IF current_setting('server_version_num')::integer >= 160000 THEN
    CREATE FUNCTION _forebay.reads_as(value text, type text) RETURNS boolean LANGUAGE sql STABLE
      AS $body$ SELECT pg_catalog.pg_input_is_valid(value, type) $body$;
  ELSE
    CREATE FUNCTION _forebay.reads_as(value text, type text) RETURNS boolean LANGUAGE plpgsql STABLE AS $body$
    BEGIN
      IF value IS NULL THEN RETURN NULL; END IF;
      EXECUTE pg_catalog.format('SELECT CAST($1 AS %s)', type) USING value;
      RETURN true;
    EXCEPTION WHEN data_exception THEN RETURN false;
    END $body$;
  END IF;
END $make$`;
