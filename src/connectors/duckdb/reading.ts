/** Reading in the worker: cursors over tables, each on a connection that sees one state of the database. */
import type { StreamTarget } from '../../core/connector.ts';
import type { StreamSchema } from '../../core/stream-schema.ts';
import type { CellEncoding } from '../../core/value.ts';
import type { Connection, Database } from './database.ts';
import { ForebayError } from '../../core/errors.ts';
import type { ReaderRequest } from './cell-reader.ts';
import { type CursorAnswer, RowCursor } from './row-cursor.ts';
import { bindTable, DELETED_COLUMN, readColumns, sameName } from './tables.ts';
import { isReadable, quoteName, quoteTable, VARCHAR } from './types.ts';

export interface RangeRequest {
  readonly snapshot: number;
  readonly schema: StreamSchema;
  readonly encodings: readonly CellEncoding[];
  readonly first: number;
  /** Rows before this one; null is to the end. */
  readonly end: number | null;
}

interface Snapshot {
  readonly connections: Connection[];
  readonly idle: Connection[];
}

interface SelectColumn {
  readonly sql: string;
  readonly reader: ReaderRequest;
}

function selectList(columns: readonly SelectColumn[]): string {
  return columns.length === 0 ? 'NULL' : columns.map(({ sql }) => sql).join(', ');
}

export class ReadingRoom {
  readonly #database: Database;
  readonly #snapshots = new Map<number, Snapshot>();
  readonly #cursors = new Map<number, RowCursor>();
  #ids = 0;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Connections whose transactions begin together: all of them see the same rows. */
  async openSnapshot(parallel: number): Promise<number> {
    const connections: Connection[] = [];
    for (let index = 0; index < parallel; index += 1) {
      connections.push(await this.#database.connect());
    }
    for (const connection of connections) {
      await connection.run('BEGIN TRANSACTION');
      // A transaction's view is fixed at its first look at the database.
      await connection.scalar('SELECT count(*) FROM duckdb_tables()');
    }
    this.#ids += 1;
    this.#snapshots.set(this.#ids, { connections, idle: [...connections] });
    return this.#ids;
  }

  async closeSnapshot(id: number): Promise<void> {
    const snapshot = this.#snapshots.get(id);
    this.#snapshots.delete(id);
    for (const connection of snapshot?.connections ?? []) {
      await connection.rollback();
      connection[Symbol.dispose]();
    }
  }

  /** One more than the last row id that the snapshot sees. */
  async rowIdEnd(id: number, schema: StreamSchema): Promise<number> {
    const connection = this.#snapshot(id).connections[0];
    if (connection === undefined) return 0;
    const { namespace, name } = schema.stream;
    const end = await connection.scalar(`SELECT max(rowid) FROM ${quoteTable(namespace, name)}`);
    return typeof end === 'number' ? end + 1 : 0;
  }

  async openRange(request: RangeRequest): Promise<number> {
    const { idle } = this.#snapshot(request.snapshot);
    const connection = idle.pop();
    if (connection === undefined)
      throw new RangeError('more chunks at once than the snapshot has readers');
    try {
      const { schema, encodings, first, end } = request;
      const { namespace, name } = schema.stream;
      const present = await readColumns(connection, namespace, name);
      const columns = schema.columns.map((column, index): SelectColumn => {
        const found = present.find((candidate) => sameName(candidate.name, column.name));
        if (found === undefined) {
          throw new ForebayError('column_missing', {
            message: `Table ${namespace}.${name} has no column ${column.name}`,
          });
        }
        const readable = isReadable(found.type);
        const quoted = quoteName(found.name);
        return {
          sql: readable ? quoted : `CAST(${quoted} AS VARCHAR)`,
          reader: {
            column: readable ? found.type : VARCHAR,
            type: column.type,
            encoding: encodings[index] ?? 'text',
          },
        };
      });
      const upper = end === null ? '' : ` AND rowid < ${end}`;
      const sql = `SELECT ${selectList(columns)} FROM ${quoteTable(namespace, name)} WHERE rowid >= ${first}${upper}`;
      return this.#keep(connection, sql, columns, () => void idle.push(connection));
    } catch (error) {
      idle.push(connection);
      throw error;
    }
  }

  /** The rows of a destination table that count: soft-deleted ones do not. */
  async openTable(target: StreamTarget, encodings: readonly CellEncoding[]): Promise<number> {
    const connection = await this.#database.connect();
    try {
      const { namespace, name } = target.table;
      const table = bindTable(target, name, await readColumns(connection, namespace, name));
      const columns = table.columns.map((column, index): SelectColumn => ({
        sql: quoteName(column.name),
        reader: { column: column.type, type: column.logical, encoding: encodings[index] ?? 'text' },
      }));
      const alive = target.load !== 'append' && target.deletes === 'soft';
      const where = alive ? ` WHERE ${DELETED_COLUMN} IS NULL` : '';
      const sql = `SELECT ${selectList(columns)} FROM ${table.sql}${where}`;
      return this.#keep(connection, sql, columns, () => connection[Symbol.dispose]());
    } catch (error) {
      connection[Symbol.dispose]();
      throw error;
    }
  }

  async next(cursor: number, slab: Buffer): Promise<CursorAnswer> {
    const found = this.#cursors.get(cursor);
    if (found === undefined) throw new ReferenceError('the cursor is closed');
    return found.fill(slab);
  }

  async closeCursor(cursor: number): Promise<void> {
    const found = this.#cursors.get(cursor);
    this.#cursors.delete(cursor);
    await found?.[Symbol.asyncDispose]();
  }

  #snapshot(id: number): Snapshot {
    const snapshot = this.#snapshots.get(id);
    if (snapshot === undefined) throw new ReferenceError('the snapshot is closed');
    return snapshot;
  }

  #keep(
    connection: Connection,
    sql: string,
    columns: readonly SelectColumn[],
    release: () => void,
  ): number {
    this.#ids += 1;
    const readers = columns.map(({ reader }) => reader);
    this.#cursors.set(this.#ids, new RowCursor(connection.stream(sql), readers, release));
    return this.#ids;
  }
}
