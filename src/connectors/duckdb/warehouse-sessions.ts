/** Connections on which layers are made, in the worker. */
import type { WarehouseParameter, WarehouseRow } from '../../core/warehouse.ts';
import type { Connection, Database } from './database.ts';

export class WarehouseSessions {
  readonly #database: Database;
  readonly #connections = new Map<number, Connection>();
  #ids = 0;

  constructor(database: Database) {
    this.#database = database;
  }

  async open(): Promise<number> {
    const connection = await this.#database.connect();
    this.#ids += 1;
    this.#connections.set(this.#ids, connection);
    return this.#ids;
  }

  async query(
    id: number,
    sql: string,
    parameters: readonly WarehouseParameter[],
  ): Promise<WarehouseRow[]> {
    const { columns, rows } = await this.#connection(id).table(sql, parameters);
    return rows.map((row) =>
      Object.fromEntries(
        columns.map((column, index) => {
          const value = row[index] ?? null;
          return [column, value === null ? null : String(value)];
        }),
      ),
    );
  }

  execute(id: number, sql: string, parameters: readonly WarehouseParameter[]): Promise<number> {
    return this.#connection(id).run(sql, parameters);
  }

  close(id: number): void {
    this.#connections.get(id)?.[Symbol.dispose]();
    this.#connections.delete(id);
  }

  closeAll(): void {
    for (const id of this.#connections.keys()) this.close(id);
  }

  #connection(id: number): Connection {
    const connection = this.#connections.get(id);
    if (connection === undefined) throw new ReferenceError('the session is closed');
    return connection;
  }
}
