/**
 * Rows that a constraint keeps out only as long as others are as they are: values that must be unique pass from row to
 * row, a parent comes after its child, and the transaction is written in pieces. Their letters are tried again before
 * the commit, all of a table at once; what is then still refused stays one. In the meantime later changes of such a
 * row wait behind it.
 */
import { asForebayError, ForebayError } from '../../core/errors.ts';
import type { StreamId, StreamName } from '../../core/stream-schema.ts';
import { inSavepoint, UNIQUE_VIOLATION } from './apply-rejects.ts';
import type { LetterPlan, OpenLetters } from './dead-letters.ts';
import { matchOf, type Values, writeAgain } from './letter-writing.ts';
import type { Lane } from './lane.ts';
import { quoteIdent, quoteName } from './sql.ts';
import { type ExistingTable, readTable } from './target-table.ts';

const FOREIGN_KEY_VIOLATION = '23503';
const EXCLUSION_VIOLATION = '23P01';
const DEPENDS_ON_OTHERS: ReadonlySet<string> = new Set([
  UNIQUE_VIOLATION,
  FOREIGN_KEY_VIOLATION,
  EXCLUSION_VIOLATION,
]);

/** Rows outside of their table, where no constraint holds. */
const ALL = 'forebay_aside';
const ONE = 'forebay_aside_one';
const SAVEPOINT = 'forebay_held';
const ONE_OF_THEM = 'forebay_held_row';

interface Letter {
  readonly id: string;
  readonly plan: LetterPlan;
  readonly payload: Values;
}

/** Letters of one row, in order. */
type Row = readonly Letter[];

interface Aside {
  /** Where one row at a time is changed. */
  readonly one: StreamName;
  /** Finds rows that were taken out. */
  readonly table: ExistingTable;
  /** Those that are moved, as SQL. */
  readonly columns: string;
}

function isData(error: unknown): boolean {
  return error instanceof ForebayError && error.class === 'data';
}

export class HeldLetters {
  readonly #lane: Lane;
  readonly #open: OpenLetters;
  /** Why each row was refused, by key. */
  readonly #errors = new Map<StreamId, Map<string, ForebayError>>();
  readonly #ids = new Map<StreamId, string[]>();
  /** Letters that are none any more. */
  #settled = new Map<StreamId, number>();

  constructor(lane: Lane, open: OpenLetters) {
    this.#lane = lane;
    this.#open = open;
  }

  /** Why the row with this key waits; undefined if it does not. */
  errorOf(stream: StreamId, key: string): ForebayError | undefined {
    return this.#errors.get(stream)?.get(key);
  }

  hasSome(stream: StreamId): boolean {
    return this.#errors.has(stream);
  }

  add(
    stream: StreamId,
    letter: { readonly id: string; readonly key: string },
    error: ForebayError,
  ): void {
    if (!DEPENDS_ON_OTHERS.has(error.systemCode ?? '')) return;
    const errors = this.#errors.get(stream) ?? new Map<string, ForebayError>();
    this.#errors.set(stream, errors.set(letter.key, error));
    this.#ids.set(stream, [...(this.#ids.get(stream) ?? []), letter.id]);
  }

  /** The stream's rows are all about to go: what waits is gone with them. */
  async emptied(stream: StreamId): Promise<void> {
    const ids = this.#ids.get(stream) ?? [];
    const { rowCount } = await this.#lane.connection.query(
      `DELETE FROM _forebay.dead_letters WHERE id IN (SELECT jsonb_array_elements_text($1::jsonb))`,
      [JSON.stringify(ids)],
    );
    this.#settled.set(stream, (this.#settled.get(stream) ?? 0) + rowCount);
    this.#forget(stream);
  }

  #forget(stream: StreamId): void {
    this.#errors.delete(stream);
    this.#ids.delete(stream);
  }

  /** Tries to write what waits, of all streams or one. */
  async settle(only: StreamId | null = null): Promise<void> {
    const streams = only === null ? [...this.#ids.keys()] : [only];
    const waiting = new Map<StreamId, Row[]>();
    for (const stream of streams) {
      const rows = await this.#read(stream);
      if (rows.length > 0) waiting.set(stream, rows);
    }
    // A row of one table may wait for one of another.
    for (let moved = true; moved && waiting.size > 0;) {
      moved = false;
      for (const [stream, rows] of waiting) {
        const left = await this.#settleTable(stream, rows);
        if (left.length < rows.length) moved = true;
        if (left.length > 0) waiting.set(stream, left);
        else waiting.delete(stream);
      }
    }
  }

  /** How many letters there are less than was told, by stream, since this was last asked. */
  takeSettled(): ReadonlyMap<StreamId, number> {
    const settled = this.#settled;
    this.#settled = new Map();
    return settled;
  }

  async #read(stream: StreamId): Promise<Row[]> {
    const { rows } = await this.#lane.connection.query(
      `SELECT id, key, plan::text, payload::text FROM _forebay.dead_letters
       WHERE id IN (SELECT jsonb_array_elements_text($1::jsonb)) AND superseded_at IS NULL ORDER BY id`,
      [JSON.stringify(this.#ids.get(stream) ?? [])],
    );
    const byKey = new Map<string, Letter[]>();
    for (const [id, key, plan, payload] of rows) {
      const letter = {
        id: id ?? '',
        plan: JSON.parse(plan ?? '{}') as LetterPlan,
        payload: JSON.parse(payload ?? '{}') as Values,
      };
      byKey.set(key ?? '', [...(byKey.get(key ?? '') ?? []), letter]);
    }
    return [...byKey.values()].filter((row) => row.every(({ plan }) => plan.altered !== true));
  }

  /** Gives the rows that are still refused. */
  async #settleTable(stream: StreamId, rows: readonly Row[]): Promise<Row[]> {
    const table =
      rows[0]?.[0] === undefined
        ? null
        : await readTable(this.#lane.connection, rows[0][0].plan.table);
    let left = [...rows];
    for (const row of rows) {
      if (await this.#attempt(() => this.#writeRow(row))) {
        left = left.filter((other) => other !== row);
        await this.#settledRow(stream, row);
      }
    }
    // What is taken out would take rows of other tables with it.
    if (table === null || (table.cascades && !this.#lane.replica)) return left;
    let together = left;
    while (together.length > 1) {
      const outsiders = await this.#exchange(together);
      if (outsiders.length === 0) {
        for (const row of together) await this.#settledRow(stream, row);
        return left.filter((row) => !together.includes(row));
      }
      together = together.filter((row) => !outsiders.includes(row));
    }
    return left;
  }

  async #attempt(act: () => Promise<void>): Promise<boolean> {
    try {
      await inSavepoint(this.#lane, { name: ONE_OF_THEM }, act);
      return true;
    } catch (error) {
      if (isData(error)) return false;
      throw error;
    }
  }

  async #writeRow(row: Row): Promise<void> {
    for (const { plan, payload } of row) await writeAgain(this.#lane.connection, plan, payload);
  }

  /** Takes all rows out of the table and puts them back changed; gives those for which there is no place, or none. */
  async #exchange(rows: readonly Row[]): Promise<Row[]> {
    const outsiders: Row[] = [];
    const refused = new ForebayError('constraint_violated', { message: 'some rows have no place' });
    try {
      await inSavepoint(this.#lane, { name: SAVEPOINT }, async () => {
        const aside = await this.#takeOut(rows);
        for (const row of rows) {
          if (!(await this.#attempt(() => this.#putBack(row, aside)))) outsiders.push(row);
        }
        await this.#lane.connection.execute(`DROP TABLE pg_temp.${ALL}, pg_temp.${ONE}`);
        if (outsiders.length > 0) throw refused;
      });
    } catch (error) {
      if (error === refused) return outsiders;
      // A row may not even leave the table.
      if (isData(error)) return [...rows];
      throw asForebayError(error);
    }
    return [];
  }

  async #takeOut(rows: readonly Row[]): Promise<Aside> {
    const { connection } = this.#lane;
    const name = rows[0]?.[0]?.plan.table;
    const table = name === undefined ? null : await readTable(connection, name);
    if (table === null) throw new ForebayError('internal', { message: 'letters without a table' });
    const columns = [...table.columns.values()]
      .filter((column) => !column.generated)
      .map((column) => quoteIdent(column.name))
      .join(', ');
    for (const aside of [ALL, ONE]) {
      await connection.execute(
        `CREATE TEMP TABLE ${aside} AS SELECT ${columns} FROM ${quoteName(table.name)} WITH NO DATA`,
      );
    }
    for (const [first] of rows) {
      const { where, values } = matchOf(table, first?.plan.match ?? {});
      await connection.query(
        `WITH gone AS (DELETE FROM ${quoteName(table.name)} t WHERE ${where} RETURNING t.*)
         INSERT INTO pg_temp.${ALL} SELECT ${columns} FROM gone`,
        values,
      );
    }
    const { rows: schemas } = await connection.query(
      'SELECT nspname FROM pg_namespace WHERE oid = pg_my_temp_schema()',
    );
    return { one: { namespace: schemas[0]?.[0] ?? '', name: ONE }, table, columns };
  }

  async #putBack(row: Row, { one, table, columns }: Aside): Promise<void> {
    const { connection } = this.#lane;
    const { where, values } = matchOf(table, row[0]?.plan.match ?? {});
    await connection.query(
      `INSERT INTO ${quoteName(one)} SELECT ${columns} FROM pg_temp.${ALL} t WHERE ${where}`,
      values,
    );
    for (const { plan, payload } of row)
      await writeAgain(connection, { ...plan, table: one }, payload);
    // Whatever its key is by now.
    await connection.execute(
      `INSERT INTO ${quoteName(table.name)} (${columns}) OVERRIDING SYSTEM VALUE
       SELECT ${columns} FROM ${quoteName(one)}; DELETE FROM ${quoteName(one)}`,
    );
  }

  /** It is as the source has it: neither these letters nor earlier ones are the last word on it. */
  async #settledRow(stream: StreamId, row: Row): Promise<void> {
    const { connection } = this.#lane;
    const ids = row.map(({ id }) => id);
    const key = JSON.stringify(Object.values(row[0]?.plan.match ?? {}));
    await connection.query(
      `WITH settled AS (DELETE FROM _forebay.dead_letters
         WHERE id IN (SELECT jsonb_array_elements_text($1::jsonb)) RETURNING pipeline, stream)
       UPDATE _forebay.dead_letters d SET superseded_at = now() FROM (SELECT DISTINCT * FROM settled) s
       WHERE d.pipeline = s.pipeline AND d.stream = s.stream AND d.key = $2
         AND d.replayed_at IS NULL AND d.superseded_at IS NULL
         AND d.id NOT IN (SELECT jsonb_array_elements_text($1::jsonb))`,
      [JSON.stringify(ids), key],
    );
    this.#open.get(stream)?.delete(key);
    const errors = this.#errors.get(stream);
    errors?.delete(key);
    if (errors?.size === 0) this.#forget(stream);
    this.#settled.set(stream, (this.#settled.get(stream) ?? 0) + ids.length);
  }
}
