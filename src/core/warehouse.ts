/** A database in which layers are made: SQL goes in, small results come out. One session, one call at a time. */

export type WarehouseDialect = 'duckdb' | 'postgres';

/** Values of parameters `$1`, `$2`, ...; the statement casts them to the type it wants. */
export type WarehouseParameter = string | null;

/** By column name, as text. */
export type WarehouseRow = Readonly<Record<string, string | null>>;

export interface Warehouse {
  readonly dialect: WarehouseDialect;
  /** Rows of a small result. Its columns are text or integers up to 64 bits; the statement casts all else to text. */
  query(sql: string, parameters?: readonly WarehouseParameter[]): Promise<readonly WarehouseRow[]>;
  /** Runs one statement; the number of rows that it changed. */
  execute(sql: string, parameters?: readonly WarehouseParameter[]): Promise<number>;
  /** All of `act` or nothing; transactions do not nest. */
  transaction<T>(act: () => Promise<T>): Promise<T>;
}

/** A warehouse with a session of its own, which ends when it is disposed of. */
export type OpenWarehouse = Warehouse & AsyncDisposable;
