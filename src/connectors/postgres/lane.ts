/** A connection of a session with what belongs to it, and a table as writes see it. */
import type { StreamTarget } from '../../core/connector.ts';
import type { PgConnection } from './connection.ts';
import { quoteName } from './sql.ts';
import type { Stages } from './stage.ts';
import type { ExistingTable } from './target-table.ts';

export interface Lane {
  readonly connection: PgConnection;
  readonly stages: Stages;
  /** Foreign keys and ordinary triggers are off, as in the server's own apply of changes. */
  readonly replica: boolean;
}

export const DELETED_AT = '_forebay_deleted_at';

/** Everything a write to one stream needs to know. */
export interface WriteContext {
  readonly lane: Lane;
  readonly pipeline: string;
  readonly target: StreamTarget;
  readonly table: ExistingTable;
  readonly pace: InsertPace;
}

export function tableSql(context: WriteContext): string {
  return quoteName(context.table.name);
}

/** Writes for which new rows are merged after some turned out to be there already. */
const MERGE_WRITES = 8;

/**
 * Whether rows that the source calls new are copied straight into the table, or merged because some were there
 * lately (after a restart the last batches come again).
 */
export class InsertPace {
  #mergeWrites = 0;

  get direct(): boolean {
    if (this.#mergeWrites === 0) return true;
    this.#mergeWrites -= 1;
    return false;
  }

  rowsWereThere(): void {
    this.#mergeWrites = MERGE_WRITES;
  }
}

/** Below this share of the table, finding rows by index beats reading the table. */
const INDEX_SHARE = 4;

/**
 * The planner knows nothing of a fresh stage and would hash the whole table for a small batch. Settings for the
 * rest of the transaction, as SQL.
 */
export function joinSettings(table: ExistingTable, keyed: boolean, rows: number): string {
  const byIndex = keyed && rows * INDEX_SHARE < table.roughRows;
  const value = byIndex ? 'off' : 'on';
  return `SET LOCAL enable_hashjoin = ${value}; SET LOCAL enable_mergejoin = ${value}`;
}
