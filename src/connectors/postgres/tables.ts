/** What a session knows of the tables it writes to; read again when they may have changed. */
import type { StreamTarget } from '../../core/connector.ts';
import { ForebayError } from '../../core/errors.ts';
import type { StreamName } from '../../core/stream-schema.ts';
import type { PgConnection } from './connection.ts';
import { InsertPace } from './lane.ts';
import { quoteName } from './sql.ts';
import { type ExistingTable, readTable } from './target-table.ts';

/** Writes after which a table's size is looked at again. */
const REFRESH_USES = 64;

interface KnownTable {
  readonly table: ExistingTable;
  uses: number;
}

export class KnownTables {
  readonly #tables = new Map<string, KnownTable>();
  readonly #paces = new Map<string, InsertPace>();

  forget(): void {
    this.#tables.clear();
  }

  async find(
    connection: PgConnection,
    target: StreamTarget,
    name: StreamName,
  ): Promise<ExistingTable> {
    const key = `${quoteName(name)} ${target.schema.version}`;
    const known = this.#tables.get(key);
    if (known !== undefined && known.uses < REFRESH_USES) {
      known.uses += 1;
      return known.table;
    }
    const table = await readTable(connection, name);
    if (table === null) {
      throw new ForebayError('table_missing', {
        message: `table ${quoteName(name)} is not at the destination`,
        stream: target.id,
      });
    }
    this.#tables.set(key, { table, uses: 0 });
    return table;
  }

  pace(name: StreamName): InsertPace {
    const key = quoteName(name);
    const pace = this.#paces.get(key) ?? new InsertPace();
    this.#paces.set(key, pace);
    return pace;
  }
}
