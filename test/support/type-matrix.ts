// Every case as a table of its own, taken through a snapshot and through the change stream.
import { expect } from 'vitest';

import { readDuckdbAll, type TextRow } from './duckdb-read.ts';
import { type ForebayExit, runForebay } from './process.ts';
import type { ServerConnection } from './server-connection.ts';
import type { TypeCase } from './type-case.ts';

/** How a row got its value; one row of each kind per value. */
export const ways = [
  'in the snapshot',
  'inserted on the stream',
  'set by an update on the stream',
  'kept by an update on the stream',
  'set and inserted in one transaction',
  'taken away on the stream',
  'deleted on the stream',
] as const;

const [SNAPSHOT, INSERTED, UPDATED, KEPT, TWICE, TAKEN, DELETED] = [0, 1, 2, 3, 4, 5, 6];
const CLEARED = 'taken away on the stream';

/** Row of a value that came in a way. */
export function rowId(value: number, way: number): number {
  return value * 10 + way;
}

/** Not the case's name alone: a table's name is a type's as well. */
export function tableOf(item: TypeCase): string {
  return `t_${item.name}`;
}

/** Settings that print values in full, whatever the database's own are. */
export const plainSession = `
  set timezone = 'UTC'; set datestyle = 'ISO, MDY'; set intervalstyle = 'postgres';
  set bytea_output = 'hex'; set extra_float_digits = 1; set xmlbinary = 'base64'; set lc_monetary = 'C';
  set client_encoding = 'UTF8'; set standard_conforming_strings = on;
  set xmloption = 'content'; set array_nulls = on`;

export async function makeTables(
  server: ServerConnection,
  database: string,
  cases: readonly TypeCase[],
): Promise<void> {
  await using client = await server.connect(database);
  await client.query(plainSession);
  for (const item of cases) {
    const { type, setup, values } = item;
    const name = tableOf(item);
    if (setup !== undefined) await client.query(setup);
    await client.query(`create table ${name} (id int primary key, v ${type}, n int)`);
    for (const [index, value] of values.entries()) {
      const rows = [SNAPSHOT, KEPT, TAKEN, DELETED].map(
        (way) => `(${rowId(index, way ?? 0)}, ${value})`,
      );
      await client.query(
        `insert into ${name} (id, v) values ${rows.join(', ')}, (${rowId(index, UPDATED ?? 0)}, null)`,
      );
    }
  }
}

export async function changeTables(
  server: ServerConnection,
  database: string,
  cases: readonly TypeCase[],
): Promise<void> {
  await using client = await server.connect(database);
  await client.query(plainSession);
  for (const item of cases) {
    const { values } = item;
    const name = tableOf(item);
    await client.query('begin');
    for (const [index, value] of values.entries()) {
      const id = (way: number | undefined): number => rowId(index, way ?? 0);
      await client.query(
        `insert into ${name} (id, v) values (${id(INSERTED)}, ${value}), (${id(TWICE)}, null)`,
      );
      await client.query(
        `update ${name} set v = ${value} where id in (${id(UPDATED)}, ${id(TWICE)})`,
      );
      await client.query(`update ${name} set n = 1 where id in (${id(KEPT)}, ${id(TWICE)})`);
      await client.query(`update ${name} set v = null where id = ${id(TAKEN)}`);
      await client.query(`delete from ${name} where id = ${id(DELETED)}`);
    }
    await client.query('commit');
  }
}

export async function replicate(...args: readonly string[]): Promise<ForebayExit> {
  return await runForebay(['replicate', ...args, '--until-caught-up', '--json']);
}

export function expectDone(exit: ForebayExit): void {
  const bad = exit.result?.streams.filter(
    ({ paused, deadLettered }) => paused !== null || deadLettered > 0,
  );
  const why = { error: exit.result?.error, bad, stderr: exit.result === null ? exit.stderr : '' };
  expect(exit.code, JSON.stringify(why, null, 1)).toBe(0);
}

/** By way, then by value: the text of `v`. */
export type CaseTexts = Readonly<Record<string, readonly (string | null)[]>>;

function textsByWay(rows: readonly TextRow[]): CaseTexts {
  const texts: Record<string, (string | null)[]> = {};
  for (const [id = '', text = null] of rows) {
    const way = ways[Number(id) % 10] ?? id ?? '';
    (texts[way] ??= []).push(text);
  }
  return texts;
}

/** What all rows must show, given the text of each value. */
export function expectedTexts(texts: readonly (string | null)[]): CaseTexts {
  const kept = ways.slice(0, TAKEN);
  return {
    ...Object.fromEntries(kept.map((way) => [way, texts])),
    [CLEARED]: texts.map(() => null),
  };
}

export interface TableContent {
  readonly type: string;
  readonly texts: CaseTexts;
}

export async function postgresContent(
  server: ServerConnection,
  database: string,
  item: TypeCase,
): Promise<TableContent> {
  const table = tableOf(item);
  await using client = await server.connect(database);
  await client.query(plainSession);
  const types = await client.query<{ type: string }>(
    `select format_type(atttypid, atttypmod) as type from pg_attribute
     where attrelid = to_regclass($1) and attname = 'v'`,
    [`public.${table}`],
  );
  // format() prints with the type's output function: casts of char(n) and "char" change the text. A row of
  // nulls is no null, which IS NOT NULL does not tell.
  const { rows } = await client.query<{ id: string; text: string | null }>(
    `select id::text, case when v is distinct from null then format('%s', v) end as text from ${table} order by ${table}.id`,
  );
  return {
    type: types.rows[0]?.type ?? 'missing',
    texts: textsByWay(rows.map(({ id, text }) => [id, text])),
  };
}

export async function duckdbContents(
  path: string,
  cases: readonly TypeCase[],
): Promise<ReadonlyMap<string, TableContent>> {
  const statements = cases.flatMap((item) => [
    `select data_type from information_schema.columns where table_name = '${tableOf(item)}' and column_name = 'v'`,
    `select id::VARCHAR, ${item.duckdb.sql ?? 'v::VARCHAR'} from public.${tableOf(item)} order by id`,
  ]);
  const results = await readDuckdbAll(path, statements);
  return new Map(
    cases.map(({ name }, index) => {
      const type = results[index * 2]?.[0]?.[0] ?? 'missing';
      return [name, { type, texts: textsByWay(results[index * 2 + 1] ?? []) }];
    }),
  );
}
