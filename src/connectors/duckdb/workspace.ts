/** What a connection knows of the tables it writes, and how it deals with values that do not fit. */
import duckdb from '@duckdb/node-bindings';
import type { StreamTarget } from '../../core/connector.ts';
import { ForebayError } from '../../core/errors.ts';
import type { RejectedRow } from '../../core/dead-letter.ts';
import { OP_LETTERS, type RowBatch } from '../../core/row-batch.ts';
import type { StreamId } from '../../core/stream-schema.ts';
import { openReader } from './cell-reader.ts';
import { cellHoldsUtf8, rowHoldsUtf8 } from './checked-text.ts';
import { ByteSink } from './byte-sink.ts';
import type { Connection } from './database.ts';
import { addLetter, openLetterKeys, rejectedLetter, rowKey, rowPayload } from './letters.ts';
import { renewTable } from './renew.ts';
import { readRules, type Rule } from './rules.ts';
import type { Stage } from './stage.ts';
import type { Reject } from './table-writer.ts';
import { type BoundTable, loadTable } from './tables.ts';
import { Validity } from './fixed-store.ts';
import {
  type ColumnType,
  isWidenable,
  logicalTypeOf,
  printColumnType,
  quoteName,
} from './types.ts';

export interface Notice {
  readonly event: string;
  readonly fields: Readonly<Record<string, string | number | boolean | null>>;
}

/** A row that is not written, and why. */
export interface Refusal {
  readonly batch: RowBatch;
  readonly row: number;
  readonly code: 'value_rejected' | 'constraint_violated';
  readonly reason: string;
  readonly position: string;
}

type PositionOf = (batch: RowBatch, row: number) => string | null;

let functions = 0;

export class Workspace {
  readonly connection: Connection;
  readonly pipeline: string;
  readonly #tables = new Map<string, BoundTable>();
  readonly #rules = new Map<string, readonly Rule[]>();
  readonly #letters = new Map<StreamId, Set<string>>();
  readonly #replaying: boolean;
  #notices: Notice[] = [];
  #refusedKeys = new Set<string>();
  #unplaced = false;
  /** Tables with rows updated or deleted in the transaction that is open. */
  #written = new Set<string>();

  /** `replaying`: what is written is older than other letters may be, and takes the place of none. */
  constructor(connection: Connection, pipeline: string, replaying = false) {
    this.connection = connection;
    this.pipeline = pipeline;
    this.#replaying = replaying;
  }

  /** The table of that name as it now is, bound to the target's schema. */
  async table(target: StreamTarget, name: string = target.table.name): Promise<BoundTable> {
    const known = this.#tables.get(cacheKey(target, name));
    if (known !== undefined) return known;
    const table = await loadTable(this.connection, target, name);
    if (table === null) {
      throw new ForebayError('table_missing', {
        message: `Table ${target.table.namespace}.${name} does not exist`,
        stream: target.id,
      });
    }
    await this.connection.makeRoomForColumns(table.columns.length);
    this.#tables.set(cacheKey(target, name), table);
    return table;
  }

  /** Only after `table` was asked for. */
  current(target: StreamTarget, name: string): BoundTable {
    const table = this.#tables.get(cacheKey(target, name));
    if (table === undefined) throw new ReferenceError(`table ${name} is not bound`);
    return table;
  }

  /** What the table demands of rows beside their types. */
  async rules(table: BoundTable): Promise<readonly Rule[]> {
    const { namespace, name } = table.ref;
    const known = this.#rules.get(`${namespace}.${name}`);
    if (known !== undefined) return known;
    const rules = await readRules(this.connection, namespace, name);
    this.#rules.set(`${namespace}.${name}`, rules);
    return rules;
  }

  /** A transaction begins. */
  begun(): void {
    this.#written.clear();
  }

  noteWritten(namespace: string, name: string): void {
    this.#written.add(`${namespace}.${name}`);
  }

  /** To be called before a table is altered. */
  async makeAlterable(namespace: string, name: string): Promise<void> {
    if (!this.#written.delete(`${namespace}.${name}`)) return;
    await renewTable(this.connection, namespace, name);
  }

  /** To be called after a rollback, and after tables were changed. */
  forget(): void {
    this.#tables.clear();
    this.#rules.clear();
    this.#letters.clear();
  }

  notice(event: string, fields: Notice['fields']): void {
    this.#notices.push({ event, fields });
  }

  takeNotices(): Notice[] {
    const notices = this.#notices;
    this.#notices = [];
    return notices;
  }

  /** Widens columns where that helps, else refuses the rows. Returns the rows refused. */
  async mend(
    table: BoundTable,
    batch: RowBatch,
    rejects: readonly Reject[],
    options: { readonly stage: Stage | null; readonly position: PositionOf },
  ): Promise<ReadonlySet<number>> {
    const misfits = rejects.filter(({ row, column }) => cellHoldsUtf8(batch, row, column));
    const columns = [...new Set(misfits.map(({ column }) => column))];
    const wide = columns.filter((column) =>
      isWidenable(table.columns[column]?.type ?? { kind: 'varchar' }),
    );
    const widened = wide.length > 0 && (await this.#mayAlter(table)) ? wide : [];
    for (const column of widened) await this.#widen(table, column, options.stage);
    const refused = new Set<number>();
    for (const reject of rejects) {
      const { row, column } = reject;
      const mended = widened.includes(column) && misfits.includes(reject);
      if (mended || refused.has(row)) continue;
      refused.add(row);
      const bound = table.columns[column];
      const type = printColumnType(bound?.type ?? { kind: 'varchar' });
      const reason = misfits.includes(reject)
        ? `column ${bound?.name ?? ''} is ${type} and cannot hold the value exactly`
        : `the text in column ${bound?.name ?? ''} is not UTF-8`;
      await this.refuse(table, {
        batch,
        row,
        code: 'value_rejected',
        reason,
        position: options.position(batch, row) ?? '',
      });
    }
    return refused;
  }

  /** Letters that do not know their position yet get the one that is committed with them. */
  async placeLetters(position: string): Promise<void> {
    if (!this.#unplaced) return;
    this.#unplaced = false;
    await this.connection.run(
      `UPDATE _forebay.dead_letters SET position = ? WHERE pipeline = ? AND position = ''`,
      [position, this.pipeline],
    );
  }

  async refuse(table: BoundTable, refusal: Refusal): Promise<void> {
    const { batch, row, code, reason, position } = refusal;
    if (position === '') this.#unplaced = true;
    const key = rowKey(batch, row);
    await addLetter(this.connection, {
      pipeline: this.pipeline,
      target: table.target,
      op: OP_LETTERS[batch.ops[row] ?? 0] ?? 'r',
      code,
      reason,
      position,
      payload: rowPayload(batch, row),
      key,
      replayable: rowHoldsUtf8(batch, row),
    });
    if (key === null) return;
    this.#letters.get(table.target.id)?.add(key);
    this.#refusedKeys.add(key);
  }

  /** Rows that were rejected before they came here. */
  async takeOver(target: StreamTarget, rows: readonly RejectedRow[]): Promise<void> {
    for (const row of rows) {
      const letter = rejectedLetter(this.pipeline, target, row);
      if (letter.position === '') this.#unplaced = true;
      await addLetter(this.connection, letter);
      if (letter.key !== null) this.#letters.get(target.id)?.add(letter.key);
    }
  }

  /** Keys of the rows refused since the last call. */
  takeRefusedKeys(): ReadonlySet<string> {
    const keys = this.#refusedKeys;
    this.#refusedKeys = new Set();
    return keys;
  }

  /** Keys of letters that are waiting, so that a later change of the same row takes their place. */
  async waitingKeys(stream: StreamId): Promise<ReadonlySet<string>> {
    if (this.#replaying) return new Set();
    const known = this.#letters.get(stream);
    if (known !== undefined) return known;
    const keys = await openLetterKeys(this.connection, this.pipeline, stream);
    this.#letters.set(stream, keys);
    return keys;
  }

  letterSuperseded(stream: StreamId, key: string): void {
    this.#letters.get(stream)?.delete(key);
  }

  /** DuckDB alters no table that an index stands on. */
  async #mayAlter(table: BoundTable): Promise<boolean> {
    const { namespace } = table.ref;
    const found = await this.connection.scalar(
      `SELECT (SELECT count(*) FROM duckdb_indexes() WHERE database_name = current_database()
           AND lower(schema_name) = lower(?) AND lower(table_name) = lower(?))
         + (SELECT count(*) FROM duckdb_constraints() WHERE database_name = current_database()
           AND lower(schema_name) = lower(?) AND lower(table_name) = lower(?)
           AND constraint_type <> 'NOT NULL')`,
      [namespace, table.ref.name, namespace, table.ref.name],
    );
    return found === 0;
  }

  async #widen(table: BoundTable, index: number, stage: Stage | null): Promise<void> {
    const column = table.columns[index];
    if (column === undefined) return;
    await widenColumn(this.connection, table.ref, column);
    this.#written.delete(`${table.ref.namespace}.${table.ref.name}`);
    if (stage !== null) {
      const at = `c${index}`;
      const print = registerPrinter(this.connection, column.type);
      await this.connection.run(
        `ALTER TABLE ${stage.sql} ALTER COLUMN ${at} TYPE VARCHAR USING ${print}(${at})`,
      );
    }
    this.#tables.delete(cacheKey(table.target, table.ref.name));
    await this.table(table.target, table.ref.name);
    this.notice('column_widened', { stream: table.target.id, column: column.name });
  }
}

function cacheKey(target: StreamTarget, name: string): string {
  return `${target.schema.version} ${target.id} ${name}`;
}

/** Makes a column VARCHAR; what is there is kept in the text form in which later values come. */
export async function widenColumn(
  connection: Connection,
  table: { readonly namespace: string; readonly name: string },
  column: { readonly name: string; readonly type: ColumnType },
): Promise<void> {
  const print = registerPrinter(connection, column.type);
  const expression = `${print}(${quoteName(column.name)})`;
  await renewTable(connection, table.namespace, table.name, { column: column.name, expression });
}

/**
 * Makes a scalar function that prints as PostgreSQL does, and gives its name; DuckDB's own casts differ in many
 * small ways.
 */
function registerPrinter(connection: Connection, type: ColumnType): string {
  functions += 1;
  const name = `_forebay_text_${functions}`;
  const reader = openReader({ column: type, type: logicalTypeOf(type), encoding: 'text' });
  const text = new ByteSink(256);
  const validity = new Validity();
  const print = duckdb.create_scalar_function();
  duckdb.scalar_function_set_name(print, name);
  duckdb.scalar_function_add_parameter(print, nativeType(type));
  duckdb.scalar_function_set_return_type(print, duckdb.create_logical_type(duckdb.Type.VARCHAR));
  duckdb.scalar_function_set_function(print, (call, input, output) => {
    try {
      const count = duckdb.data_chunk_get_size(input);
      reader.load(duckdb.data_chunk_get_vector(input, 0), count);
      for (let row = 0; row < count; row += 1) {
        if (reader.isNull(row)) {
          validity.setNull(row);
          continue;
        }
        text.clear();
        reader.emit(row, text);
        duckdb.vector_assign_string_element_len(output, row, text.buffer.subarray(0, text.length));
      }
      validity.flush(output, count);
    } catch (error) {
      duckdb.scalar_function_set_error(call, error instanceof Error ? error.message : 'failed');
    }
  });
  duckdb.register_scalar_function(connection.native, print);
  return name;
}

function nativeType(type: ColumnType): ReturnType<typeof duckdb.create_logical_type> {
  switch (type.kind) {
    case 'list':
      return duckdb.create_list_type(nativeType(type.element));
    case 'decimal':
      return duckdb.create_decimal_type(type.precision, type.scale);
    case 'json': {
      const json = duckdb.create_logical_type(duckdb.Type.VARCHAR);
      duckdb.logical_type_set_alias(json, 'JSON');
      return json;
    }
    case 'int':
      return duckdb.create_logical_type(INT_TYPES[`${type.unsigned ? 'u' : ''}${type.bits}`] ?? 0);
    case 'float':
      return duckdb.create_logical_type(type.bits === 32 ? duckdb.Type.FLOAT : duckdb.Type.DOUBLE);
    case 'timestamp':
      return duckdb.create_logical_type(
        type.zoned ? duckdb.Type.TIMESTAMP_TZ : TIMESTAMP_TYPES[type.unit],
      );
    default:
      return duckdb.create_logical_type(PLAIN_TYPES[type.kind]);
  }
}

const INT_TYPES: Readonly<Record<string, number>> = {
  8: duckdb.Type.TINYINT,
  16: duckdb.Type.SMALLINT,
  32: duckdb.Type.INTEGER,
  64: duckdb.Type.BIGINT,
  128: duckdb.Type.HUGEINT,
  u8: duckdb.Type.UTINYINT,
  u16: duckdb.Type.USMALLINT,
  u32: duckdb.Type.UINTEGER,
  u64: duckdb.Type.UBIGINT,
  u128: duckdb.Type.UHUGEINT,
};

const TIMESTAMP_TYPES = {
  1: duckdb.Type.TIMESTAMP,
  1000: duckdb.Type.TIMESTAMP_MS,
  1_000_000: duckdb.Type.TIMESTAMP_S,
} as const;

const PLAIN_TYPES = {
  boolean: duckdb.Type.BOOLEAN,
  varchar: duckdb.Type.VARCHAR,
  unknown: duckdb.Type.VARCHAR,
  blob: duckdb.Type.BLOB,
  date: duckdb.Type.DATE,
  time: duckdb.Type.TIME,
  interval: duckdb.Type.INTERVAL,
  uuid: duckdb.Type.UUID,
} as const;
