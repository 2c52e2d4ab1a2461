/** Temporary tables that rows wait in before they are joined with their destination. */
import type { CellPath } from './cell-path.ts';
import type { PgConnection } from './connection.ts';
import { CopyEncoder, type RowPick, type RowTail } from './copy-encode.ts';
import { quoteIdent } from './sql.ts';

/** Every commit truncates all stages of the connection, used or not, so their number is bounded. */
const MAX_STAGES = 100;

/** A table that takes rows by COPY: which columns, how encoded. */
export interface StageShape {
  readonly paths: readonly CellPath[];
  readonly tail: { readonly row: RowTail; readonly columns: readonly NewColumn[] } | null;
}

/** A column to be made. */
export interface NewColumn {
  readonly name: string;
  readonly type: string;
}

/** What PostgreSQL lets a table have. */
export const MAX_COLUMNS = 1600;
const NUMBER_COLUMNS = 2;

function isWide({ paths, tail }: StageShape): boolean {
  return paths.length + (tail?.columns.length ?? 0) + NUMBER_COLUMNS > MAX_COLUMNS;
}

interface StageState {
  readonly name: string;
  /** A rollback may have taken the table with it. */
  certain: boolean;
  /** Rows of an earlier write of this transaction are in it. */
  dirty: boolean;
}

/** The stages of one connection. Columns: r (row number), g (group), then the shape's. */
export class Stages {
  readonly #connection: PgConnection;
  readonly #states = new Map<string, StageState>();
  #next = 0;

  constructor(connection: PgConnection) {
    this.#connection = connection;
  }

  /** Call outside a transaction. */
  async limit(): Promise<void> {
    if (this.#states.size <= MAX_STAGES) return;
    await this.#connection.execute('DISCARD TEMP');
    this.#states.clear();
  }

  rolledBack(): void {
    for (const state of this.#states.values()) state.certain = false;
  }

  transactionEnded(): void {
    for (const state of this.#states.values()) state.dirty = false;
  }

  /** Copies rows into an empty stage and returns its name as SQL; `groups` comes with the picks. */
  async fill(shape: StageShape, picks: Iterable<RowPick>): Promise<string> {
    if (isWide(shape)) return this.#fillHalves(shape, [...picks]);
    const state = await this.#ensure(shape);
    const name = `pg_temp.${state.name}`;
    state.dirty = true;
    await copyRows(this.#connection, { into: name, columns: null, shape, numbered: true }, picks);
    return name;
  }

  /** Our own columns would be too many for one table: two stages, joined where they are read. */
  async #fillHalves(shape: StageShape, picks: readonly RowPick[]): Promise<string> {
    const middle = shape.paths.length >>> 1;
    const first = await this.fill({ paths: shape.paths.slice(0, middle), tail: null }, picks);
    const rest = { paths: shape.paths.slice(middle), tail: shape.tail };
    const second = await this.fill(rest, picks);
    const names = [
      ...rest.paths.map(({ stageName }) => stageName),
      ...(shape.tail?.columns ?? []).map(({ name }) => quoteIdent(name)),
    ];
    return `(SELECT a.*, ${names.map((name) => `b.${name}`).join(', ')}
      FROM ${first} a JOIN ${second} b ON b.r = a.r)`;
  }

  async #ensure(shape: StageShape): Promise<StageState> {
    const columns = [
      'r integer, g integer',
      ...shape.paths.map((path) => `${path.stageName} ${path.stageType}`),
      ...(shape.tail?.columns ?? []).map(({ name, type }) => `${quoteIdent(name)} ${type}`),
    ].join(', ');
    const known = this.#states.get(columns);
    const state = known ?? { name: `forebay_${this.#next++}`, certain: false, dirty: false };
    this.#states.set(columns, state);
    if (!state.certain) {
      await this.#connection.execute(
        `CREATE TEMP TABLE IF NOT EXISTS ${state.name} (${columns}) ON COMMIT DELETE ROWS`,
      );
      state.certain = true;
    }
    if (state.dirty) await this.#connection.execute(`TRUNCATE pg_temp.${state.name}`);
    return state;
  }
}

export interface CopyTarget {
  /** As SQL. */
  readonly into: string;
  /** Column list as SQL; null for all. */
  readonly columns: string | null;
  readonly shape: StageShape;
  readonly numbered: boolean;
}

/** Rows taken by the server and bytes of their values. */
export async function copyRows(
  connection: PgConnection,
  target: CopyTarget,
  picks: Iterable<RowPick>,
): Promise<{ readonly rows: number; readonly bytes: number }> {
  const columns = target.columns === null ? '' : ` (${target.columns})`;
  const copy = await connection.copyIn(`COPY ${target.into}${columns} FROM STDIN (FORMAT binary)`);
  try {
    const encoder = new CopyEncoder(copy, {
      columns: target.shape.paths.map((path) => path.encode),
      numbered: target.numbered,
      tail: target.shape.tail?.row ?? null,
    });
    for (const pick of picks) await encoder.add(pick);
    await encoder.finish();
    return { rows: await copy.end(), bytes: encoder.bytes };
  } catch (error) {
    await copy.abort('rows could not be encoded or sent').catch(() => {});
    throw error;
  }
}
