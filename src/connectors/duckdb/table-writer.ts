/** Rows of batches into a table by data chunks. The appender obeys the open transaction. */
import duckdb, { type Appender, type DataChunk } from '@duckdb/node-bindings';
import type { RowBatch } from '../../core/row-batch.ts';
import { type CellEncoding, type LogicalType, NULL_CELL } from '../../core/value.ts';
import { ByteSink } from './byte-sink.ts';
import { CellRun } from './cell-run.ts';
import { openStore } from './columns.ts';
import type { Connection } from './database.ts';
import { duckdbError } from './errors.ts';
import { SlabSpan, StringStore } from './string-vectors.ts';
import type { ColumnType } from './types.ts';
import { type CellStore, NullStore, WordStore } from './fixed-store.ts';

export interface TableRef {
  /** Null is the database itself; `temp` holds the stages. */
  readonly catalog: string | null;
  readonly namespace: string;
  readonly name: string;
}

/** What a column of the table is filled with, in the table's order. */
export type Slot =
  | {
      readonly kind: 'cell';
      /** Index into the columns of the batch's schema. */
      readonly column: number;
      readonly logical: LogicalType;
      readonly type: ColumnType;
      /** Text may hold bytes that are no UTF-8. */
      readonly rawText: boolean;
    }
  | { readonly kind: 'null' }
  | { readonly kind: 'text'; readonly value: (batch: RowBatch, row: number) => string | null }
  /** BIGINT, or a timestamp as microseconds since 1970. */
  | {
      readonly kind: 'word';
      readonly value: (batch: RowBatch, row: number) => number | bigint | null;
    };

/** A cell that its column cannot hold exactly. */
export interface Reject {
  readonly row: number;
  readonly column: number;
}

interface Selection {
  readonly batch: RowBatch;
  readonly rows: Int32Array;
  readonly from: number;
  readonly count: number;
}

interface Filler {
  readonly store: CellStore;
  readonly fill: (selection: Selection, rejects: Reject[]) => void;
}

export interface WriteOutcome {
  /** Rows written, from the first one asked for. */
  readonly written: number;
  /** Cells of the chunk that follows; none of its rows was written. */
  readonly rejects: readonly Reject[];
}

const CHUNK_ROWS = 2048;

export function sameEncodings(a: readonly CellEncoding[], b: readonly CellEncoding[]): boolean {
  return a.length === b.length && a.every((encoding, index) => encoding === b[index]);
}

export class TableWriter {
  readonly encodings: readonly CellEncoding[];
  readonly #subject: string;
  readonly #appender: Appender;
  readonly #chunk: DataChunk;
  readonly #span = new SlabSpan();
  readonly #run = new CellRun();
  readonly #strings: StringStore[] = [];
  readonly #fillers: readonly Filler[];

  constructor(
    connection: Connection,
    table: TableRef,
    slots: readonly Slot[],
    encodings: readonly CellEncoding[],
  ) {
    this.encodings = encodings;
    this.#subject = `${table.namespace}.${table.name}`;
    const { catalog, namespace, name } = table;
    this.#appender = this.#guard(() =>
      duckdb.appender_create_ext(connection.native, catalog, namespace, name),
    );
    const types = slots.map((_, index) => duckdb.appender_column_type(this.#appender, index));
    this.#chunk = duckdb.create_data_chunk(types);
    this.#fillers = slots.map((slot) => this.#filler(slot));
  }

  /** Writes `rows` (row numbers of the batch) from the given place on, up to the first chunk with a reject. */
  write(batch: RowBatch, rows: Int32Array, from: number): WriteOutcome {
    let at = from;
    while (at < rows.length) {
      const count = Math.min(CHUNK_ROWS, rows.length - at);
      const rejects: Reject[] = [];
      this.#span.begin(batch.slab);
      for (const { fill } of this.#fillers) fill({ batch, rows, from: at, count }, rejects);
      if (rejects.length > 0) {
        for (const { store } of this.#fillers) store.clear();
        this.#span.end();
        return { written: at - from, rejects };
      }
      this.#append(count);
      at += count;
    }
    return { written: at - from, rejects: [] };
  }

  /** Makes all rows part of the transaction. The writer is used up. */
  close(): void {
    this.#guard(() => duckdb.appender_close_sync(this.#appender));
  }

  /** Forgets rows that are not part of the transaction yet. */
  abandon(): void {
    try {
      duckdb.appender_clear(this.#appender);
      duckdb.appender_close_sync(this.#appender);
    } catch {
      // The transaction is rolled back next; what the appender held goes with it.
    }
  }

  #append(count: number): void {
    for (const [index, { store }] of this.#fillers.entries()) {
      store.flush(duckdb.data_chunk_get_vector(this.#chunk, index), count);
    }
    duckdb.data_chunk_set_size(this.#chunk, count);
    this.#guard(() => duckdb.append_data_chunk(this.#appender, this.#chunk));
    duckdb.data_chunk_reset(this.#chunk);
    for (const store of this.#strings) store.release();
    this.#span.end();
  }

  #filler(slot: Slot): Filler {
    switch (slot.kind) {
      case 'cell': {
        const encoding = this.encodings[slot.column] ?? 'text';
        const request = {
          type: slot.logical,
          column: slot.type,
          encoding,
          rawText: slot.rawText,
        };
        const store = openStore(request, { span: this.#span, strings: this.#strings });
        return {
          store,
          fill: (selection, rejects) => this.#fillCells(store, slot.column, selection, rejects),
        };
      }
      case 'null':
        return { store: new NullStore(), fill: () => {} };
      case 'text': {
        const store = new StringStore(this.#span);
        this.#strings.push(store);
        const memory = { run: this.#run, scratch: new ByteSink(4096) };
        return { store, fill: (selection) => fillTexts(store, slot.value, memory, selection) };
      }
      case 'word': {
        const store = new WordStore();
        return { store, fill: (selection) => fillWords(store, slot.value, selection) };
      }
    }
  }

  #fillCells(store: CellStore, column: number, selection: Selection, rejects: Reject[]): void {
    const refused: number[] = [];
    this.#run.gather(selection.batch, column, selection);
    store.put(0, this.#run, refused);
    for (const cell of refused) {
      rejects.push({ row: selection.rows[selection.from + cell] ?? 0, column });
    }
  }

  #guard<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw duckdbError(error, this.#subject);
    }
  }
}

function fillTexts(
  store: StringStore,
  value: (batch: RowBatch, row: number) => string | null,
  { run, scratch }: { readonly run: CellRun; readonly scratch: ByteSink },
  { batch, rows, from, count }: Selection,
): void {
  scratch.clear();
  run.begin(scratch.buffer);
  for (let index = 0; index < count; index += 1) {
    const text = value(batch, rows[from + index] ?? 0);
    const start = scratch.length;
    if (text !== null) scratch.text(text);
    run.add(start, text === null ? NULL_CELL : scratch.length - start);
  }
  run.moveTo(scratch.buffer);
  store.put(0, run);
}

function fillWords(
  store: WordStore,
  value: (batch: RowBatch, row: number) => number | bigint | null,
  { batch, rows, from, count }: Selection,
): void {
  for (let index = 0; index < count; index += 1) {
    store.set(index, value(batch, rows[from + index] ?? 0));
  }
}
