/** Connections on which layers are made, in the worker. */
import type { WarehouseParameter, WarehouseRow } from '../../core/warehouse.ts';
import type { Connection, Database } from './database.ts';

export class WarehouseSessions {
  readonly #database: Database;
  readonly #connections = new Map<number, Connection>();
  /** The driver does not bear the end of a connection that is at work. */
  readonly #working = new Map<number, Promise<unknown>>();
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
    const { columns, rows } = await this.#work(id, (connection) =>
      connection.table(sql, parameters),
    );
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
    return this.#work(id, (connection) => connection.run(sql, parameters));
  }

  /** What is under way ends first. */
  async close(id: number): Promise<void> {
    const connection = this.#connections.get(id);
    this.#connections.delete(id);
    await this.#working.get(id);
    this.#working.delete(id);
    connection?.[Symbol.dispose]();
  }

  async closeAll(): Promise<void> {
    for (const id of this.#connections.keys()) await this.close(id);
  }

  async #work<T>(id: number, act: (connection: Connection) => Promise<T>): Promise<T> {
    const work = act(this.#connection(id));
    this.#working.set(
      id,
      work.catch(() => {}),
    );
    return await work;
  }

  #connection(id: number): Connection {
    const connection = this.#connections.get(id);
    if (connection === undefined) throw new ReferenceError('the session is closed');
    return connection;
  }
}
