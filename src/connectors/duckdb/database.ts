/** The database and its connections; lives in the worker thread, where waiting for DuckDB hurts nobody. */
import { totalmem } from 'node:os';
import duckdb, {
  type Connection as NativeConnection,
  type Database as NativeDatabase,
  type DataChunk,
  type Result,
} from '@duckdb/node-bindings';
import { duckdbError } from './errors.ts';

export type Parameter = string | number | bigint | null;
export type SqlValue = string | number | boolean | null;

export interface DatabaseSettings {
  readonly path: string;
  readonly memoryBytes: number;
  readonly threads: number;
  readonly readOnly: boolean;
}

const MEBIBYTE = 1024 * 1024;

const inUse = new Set<object>();

/**
 * Keeps what native work under way reads from being collected. The bindings pass bare pointers to their threads, and
 * compiled code forgets a variable at its last mention.
 */
async function holding<T>(held: object, work: Promise<T>): Promise<T> {
  inUse.add(held);
  try {
    return await work;
  } finally {
    inUse.delete(held);
  }
}

export class Database implements Disposable {
  readonly path: string;
  readonly readOnly: boolean;
  readonly #native: NativeDatabase;

  private constructor(native: NativeDatabase, settings: DatabaseSettings) {
    this.#native = native;
    this.path = settings.path;
    this.readOnly = settings.readOnly;
  }

  static async open(settings: DatabaseSettings): Promise<Database> {
    try {
      return await Database.#open(settings);
    } catch (error) {
      const failure = duckdbError(error, settings.path);
      // What a killed run left in the log may need more to be read again than the file does afterwards.
      const memoryBytes = settings.memoryBytes * 4;
      if (failure.code !== 'memory_exhausted' || memoryBytes > totalmem()) throw failure;
      return Database.open({ ...settings, memoryBytes });
    }
  }

  static async #open(settings: DatabaseSettings): Promise<Database> {
    const config = duckdb.create_config();
    const options: Record<string, string> = {
      memory_limit: `${Math.floor(settings.memoryBytes / MEBIBYTE)}MiB`,
      threads: String(settings.threads),
      access_mode: settings.readOnly ? 'READ_ONLY' : 'READ_WRITE',
      autoinstall_known_extensions: 'false',
      autoload_known_extensions: 'false',
      preserve_insertion_order: 'true',
      // Otherwise memory that a statement is done with stays with the process, up to twice the limit.
      allocator_background_threads: 'true',
    };
    if (settings.path === ':memory:') {
      // There the data itself is in memory: the limit is DuckDB's own, a share of the machine.
      delete options['access_mode'];
      delete options['memory_limit'];
    }
    for (const [name, value] of Object.entries(options)) duckdb.set_config(config, name, value);
    return new Database(await holding(config, duckdb.open(settings.path, config)), settings);
  }

  async connect(): Promise<Connection> {
    const connection = new Connection(await duckdb.connect(this.#native), this.path);
    await connection.run("SET TimeZone = 'UTC'");
    return connection;
  }

  [Symbol.dispose](): void {
    duckdb.close_sync(this.#native);
  }
}

/** DuckDB writes each column through a block of 256 KiB, and a table has its stage beside it. */
const COLUMN_BYTES = 640 * 1024;
export const LEAST_ROOM = 64 * MEBIBYTE;

export class Connection implements Disposable {
  readonly native: NativeConnection;
  readonly #subject: string;

  constructor(native: NativeConnection, subject: string) {
    this.native = native;
    this.#subject = subject;
  }

  /** Raises the memory limit where a table is so wide that DuckDB could not even begin to write it. */
  makeRoomForColumns(columns: number): Promise<void> {
    return this.makeRoom(LEAST_ROOM + columns * COLUMN_BYTES);
  }

  /** Raises the memory limit to what cannot be done without, if that is more. */
  async makeRoom(wanted: number): Promise<void> {
    const limit = await this.scalar(
      "SELECT value FROM duckdb_settings() WHERE name = 'memory_limit'",
    );
    if (parseSize(String(limit)) >= wanted) return;
    await this.run(`SET memory_limit = '${Math.ceil(wanted / MEBIBYTE)}MiB'`);
  }

  /** Runs one statement and returns the number of rows it changed. */
  async run(sql: string, parameters: readonly Parameter[] = []): Promise<number> {
    return duckdb.rows_changed(await this.#execute(sql, parameters));
  }

  /** All rows of a small result; columns are VARCHAR, BOOLEAN or integers up to 64 bits. */
  async all(sql: string, parameters: readonly Parameter[] = []): Promise<SqlValue[][]> {
    return (await this.table(sql, parameters)).rows;
  }

  /** The same with the names of the columns. */
  async table(
    sql: string,
    parameters: readonly Parameter[] = [],
  ): Promise<{ readonly columns: string[]; readonly rows: SqlValue[][] }> {
    const result = await this.#execute(sql, parameters);
    const columns = Array.from({ length: duckdb.column_count(result) }, (_, index) =>
      duckdb.column_name(result, index),
    );
    const rows: SqlValue[][] = [];
    for (;;) {
      const chunk = await duckdb.fetch_chunk(result);
      if (chunk === null || duckdb.data_chunk_get_size(chunk) === 0) return { columns, rows };
      readRows(result, chunk, rows);
    }
  }

  async scalar(sql: string, parameters: readonly Parameter[] = []): Promise<SqlValue> {
    const rows = await this.all(sql, parameters);
    return rows[0]?.[0] ?? null;
  }

  /** Chunks as they are made. Nothing else may run on the connection until the last one is read. */
  async *stream(sql: string): AsyncGenerator<DataChunk> {
    try {
      const statement = await duckdb.prepare(this.native, sql);
      const result = await holding(statement, duckdb.execute_prepared_streaming(statement));
      for (;;) {
        const chunk = await duckdb.fetch_chunk(result);
        if (chunk === null || duckdb.data_chunk_get_size(chunk) === 0) return;
        yield chunk;
      }
    } catch (error) {
      throw duckdbError(error, this.#subject);
    }
  }

  /** Names of the columns that a statement gives, without running it. */
  async columnNames(sql: string): Promise<string[]> {
    const statement = await duckdb.prepare(this.native, sql);
    const count = duckdb.prepared_statement_column_count(statement);
    return Array.from({ length: count }, (_, index) =>
      duckdb.prepared_statement_column_name(statement, index),
    );
  }

  /** Runs `work` in a transaction of its own. */
  async transaction<T>(work: () => Promise<T>): Promise<T> {
    await this.run('BEGIN TRANSACTION');
    try {
      const value = await work();
      await this.run('COMMIT');
      return value;
    } catch (error) {
      await this.rollback();
      throw error;
    }
  }

  /** Safe when no transaction is open. */
  async rollback(): Promise<void> {
    try {
      await this.run('ROLLBACK');
    } catch {
      // DuckDB has ended the transaction itself.
    }
  }

  interrupt(): void {
    duckdb.interrupt(this.native);
  }

  [Symbol.dispose](): void {
    duckdb.disconnect_sync(this.native);
  }

  async #execute(sql: string, parameters: readonly Parameter[]): Promise<Result> {
    try {
      if (parameters.length === 0) return await duckdb.query(this.native, sql);
      const statement = await duckdb.prepare(this.native, sql);
      for (const [index, value] of parameters.entries()) {
        if (value === null) duckdb.bind_null(statement, index + 1);
        else if (typeof value === 'string') duckdb.bind_varchar(statement, index + 1, value);
        else duckdb.bind_int64(statement, index + 1, BigInt(value));
      }
      const result = await holding(statement, duckdb.execute_prepared(statement));
      duckdb.destroy_prepare_sync(statement);
      return result;
    } catch (error) {
      throw duckdbError(error, this.#subject);
    }
  }
}

function readRows(result: Result, chunk: DataChunk, rows: SqlValue[][]): void {
  const count = duckdb.data_chunk_get_size(chunk);
  const first = rows.length;
  for (let row = 0; row < count; row += 1) rows.push([]);
  for (let column = 0; column < duckdb.data_chunk_get_column_count(chunk); column += 1) {
    const type = duckdb.column_type(result, column);
    const vector = duckdb.data_chunk_get_vector(chunk, column);
    const validity = duckdb.vector_get_validity(vector, Math.ceil(count / 64) * 8);
    const width = valueWidth(type);
    const data = duckdb.vector_get_data(vector, count * width);
    for (let row = 0; row < count; row += 1) {
      const valid = validity === null || duckdb.validity_row_is_valid(validity, row);
      rows[first + row]?.push(valid ? readValue(type, data, row * width) : null);
    }
  }
}

function valueWidth(type: number): number {
  if (type === duckdb.Type.VARCHAR) return 16;
  if (type === duckdb.Type.BOOLEAN) return 1;
  return type === duckdb.Type.INTEGER ? 4 : 8;
}

function readValue(type: number, data: Uint8Array, at: number): SqlValue {
  const view = new DataView(data.buffer, data.byteOffset + at);
  if (type === duckdb.Type.VARCHAR) return Buffer.from(stringAt(data, at)).toString('utf8');
  if (type === duckdb.Type.BOOLEAN) return view.getUint8(0) !== 0;
  if (type === duckdb.Type.INTEGER) return view.getInt32(0, true);
  if (type === duckdb.Type.BIGINT) return Number(view.getBigInt64(0, true));
  throw new TypeError(`type ${type} is not read here`);
}

/** The bytes of a string_t: inline up to 12 bytes, else behind a pointer. */
export function stringAt(data: Uint8Array, at: number): Uint8Array {
  const length = data[at] ?? 0;
  const long =
    length +
    (data[at + 1] ?? 0) * 0x100 +
    (data[at + 2] ?? 0) * 0x1_0000 +
    (data[at + 3] ?? 0) * 0x100_0000;
  if (long <= 12) return data.subarray(at + 4, at + 4 + long);
  return duckdb.get_data_from_pointer(toArrayBuffer(data), data.byteOffset + at + 8, long);
}

function toArrayBuffer(data: Uint8Array): ArrayBuffer {
  if (data.buffer instanceof ArrayBuffer) return data.buffer;
  throw new TypeError('a vector is no shared memory');
}

const UNITS: Readonly<Record<string, number>> = {
  bytes: 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

/** As DuckDB prints sizes: `64.0 MiB`. */
function parseSize(text: string): number {
  const [number = '0', unit = 'bytes'] = text.trim().split(' ');
  return Number(number) * (UNITS[unit] ?? 1);
}
