/** A temporary table that a write goes through: the stream's columns as c0, c1, ... and three of its own. */
import type { Connection } from './database.ts';
import type { SinkTable } from './row-sink.ts';
import type { Slot } from './table-writer.ts';
import type { BoundTable } from './tables.ts';
import { printColumnType, quoteName } from './types.ts';

/** Reads facts about a row that stand beside its cells. */
export interface StageFacts {
  readonly act: (row: number) => number;
  /** Part and row in one number, to find the row again. */
  readonly place: (row: number) => number;
  /** Which columns are unchanged: rows with the same number have the same ones. */
  readonly mask: (row: number) => number;
}

const NO_FACTS: StageFacts = { act: () => 0, place: () => 0, mask: () => 0 };

export class Stage {
  readonly name: string;
  /** As SQL names it. */
  readonly sql: string;
  facts: StageFacts = NO_FACTS;

  constructor(name: string) {
    this.name = name;
    this.sql = `temp.main.${quoteName(name)}`;
  }

  /** Makes it anew and empty. Dropping it is cheaper than deleting what it held. */
  async create(connection: Connection, table: BoundTable): Promise<void> {
    const columns = table.columns.map(
      (column, index) => `c${index} ${printColumnType(column.type)}`,
    );
    const list = [...columns, 'act BIGINT', 'place BIGINT', 'mask BIGINT'].join(', ');
    await connection.run(`CREATE OR REPLACE TEMP TABLE ${quoteName(this.name)} (${list})`);
  }

  async drop(connection: Connection): Promise<void> {
    await connection.run(`DROP TABLE IF EXISTS ${this.sql}`);
  }

  /** `table` is asked for its columns at each opening, since widening changes them. */
  sink(table: () => BoundTable): SinkTable {
    return {
      ref: { catalog: 'temp', namespace: 'main', name: this.name },
      slots: (): readonly Slot[] => [
        ...table().columns.map(({ logical, type, rawText }, index): Slot => ({
          kind: 'cell',
          column: index,
          logical,
          type,
          rawText,
        })),
        { kind: 'word', value: (_, row) => this.facts.act(row) },
        { kind: 'word', value: (_, row) => this.facts.place(row) },
        { kind: 'word', value: (_, row) => this.facts.mask(row) },
      ],
    };
  }
}
