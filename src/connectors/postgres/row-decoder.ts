/** Row messages of pgoutput into the sink's batches; cells stay where they lie in the slab. */
import type { ChangeSink } from '../../core/change-event.ts';
import { OP_BEFORE, OP_DELETE, OP_INSERT, OP_TRUNCATE, OP_UPDATE } from '../../core/row-batch.ts';
import type { StreamSchema } from '../../core/stream-schema.ts';
import type { CellEncoding } from '../../core/value.ts';
import { ABSENT_CELL, NULL_CELL, UNCHANGED_CELL } from '../../core/value.ts';
import { ForebayError } from '../../core/errors.ts';
import { MSG_DELETE, MSG_INSERT, MSG_UPDATE, readTuple, type RelationMessage } from './pgoutput.ts';

const TUPLE_NEW = 0x4e;
const TUPLE_KEY = 0x4b;
const JSONB_VERSION = 1;

/** How a relation's columns map onto a stream's; null while the stream is left out. */
export interface StreamMapping {
  readonly schema: StreamSchema;
  readonly encodings: readonly CellEncoding[];
  /** Index into the schema's columns per column of the relation; -1 if the stream has no such column. */
  readonly targets: Int32Array;
  readonly isKey: Uint8Array;
  readonly isJson: Uint8Array;
  readonly binary: boolean;
}

export interface Relation {
  readonly message: RelationMessage;
  readonly mapping: StreamMapping | null;
}

export function mapRelation(
  message: RelationMessage,
  schema: StreamSchema,
  encoding: CellEncoding,
): StreamMapping {
  const isKey = new Uint8Array(schema.columns.length);
  for (const column of schema.key) isKey[column] = 1;
  return {
    schema,
    encodings: schema.columns.map(() => encoding),
    targets: Int32Array.from(message.columns, (column) =>
      schema.columns.findIndex((candidate) => candidate.name === column.name),
    ),
    isKey,
    isJson: Uint8Array.from(schema.columns, (column) => (column.type.kind === 'json' ? 1 : 0)),
    binary: encoding === 'binary',
  };
}

export class RowDecoder {
  readonly #sink: ChangeSink;
  #old = new Int32Array(64);
  #new = new Int32Array(64);

  constructor(sink: ChangeSink) {
    this.#sink = sink;
  }

  /** `at` stands after the relation's oid. */
  row(kind: number, relation: Relation, slab: Buffer, at: number): void {
    const { mapping, message } = relation;
    if (mapping === null) return;
    const columns = message.columns.length;
    if (this.#new.length < columns * 2) {
      this.#new = new Int32Array(columns * 2);
      this.#old = new Int32Array(columns * 2);
    }
    switch (kind) {
      case MSG_INSERT:
        readTuple(slab, at + 1, this.#new, columns);
        this.#put(mapping, slab, OP_INSERT, this.#sink.nextEvent());
        break;
      case MSG_UPDATE:
        this.#update(mapping, slab, at, columns);
        break;
      case MSG_DELETE:
        readTuple(slab, at + 1, this.#new, columns);
        this.#identity(mapping, slab, {
          cells: this.#new,
          op: OP_DELETE,
          event: this.#sink.nextEvent(),
        });
        break;
      default:
        throw new ForebayError('protocol', { message: `unexpected row message ${kind}` });
    }
  }

  truncate(mapping: StreamMapping, slab: Buffer): void {
    const builder = this.#sink.rows(mapping.schema, mapping.encodings, slab);
    builder.beginRow(OP_TRUNCATE, this.#sink.transaction, this.#sink.nextEvent());
    this.#sink.added(16);
  }

  #update(mapping: StreamMapping, slab: Buffer, start: number, columns: number): void {
    let at = start;
    const oldKind = slab[at];
    const event = this.#sink.nextEvent();
    if (oldKind !== TUPLE_NEW) {
      at = readTuple(slab, at + 1, this.#old, columns);
      readTuple(slab, at + 1, this.#new, columns);
      this.#fillUnchanged(columns);
      const moved =
        mapping.schema.identity === 'whole-row' ||
        this.#keyMoved(mapping, slab, oldKind === TUPLE_KEY);
      if (moved) this.#identity(mapping, slab, { cells: this.#old, op: OP_BEFORE, event });
    } else {
      readTuple(slab, at + 1, this.#new, columns);
    }
    this.#put(mapping, slab, OP_UPDATE, event);
  }

  /** The old row has the value that the update left alone: replica identity full, or a key kept out of line. */
  #fillUnchanged(columns: number): void {
    const [from, to] = [this.#old, this.#new];
    for (let word = 0; word < columns * 2; word += 2) {
      const length = from[word + 1] ?? NULL_CELL;
      if (to[word + 1] === UNCHANGED_CELL && length >= 0) {
        to[word] = from[word] ?? 0;
        to[word + 1] = length;
      }
    }
  }

  #keyMoved(mapping: StreamMapping, slab: Buffer, keyOnly: boolean): boolean {
    const { targets, isKey } = mapping;
    for (let i = 0; i < targets.length; i += 1) {
      const target = targets[i] ?? -1;
      if (target < 0 || isKey[target] !== 1) continue;
      const oldLength = this.#old[i * 2 + 1] ?? 0;
      const newLength = this.#new[i * 2 + 1] ?? 0;
      // With replica identity full an old key column kept out of line is not sent when it did not change.
      if (oldLength < 0 && !keyOnly) continue;
      if (oldLength !== newLength) return true;
      const oldAt = this.#old[i * 2] ?? 0;
      const newAt = this.#new[i * 2] ?? 0;
      for (let byte = 0; byte < oldLength; byte += 1) {
        if (slab[oldAt + byte] !== slab[newAt + byte]) return true;
      }
    }
    return false;
  }

  /** A row that only says which row is meant. NULLs of columns outside the key are no values. */
  #identity(
    mapping: StreamMapping,
    slab: Buffer,
    row: { readonly cells: Int32Array; readonly op: number; readonly event: number },
  ): void {
    const { cells, op, event } = row;
    const { targets, isKey, schema } = mapping;
    const builder = this.#sink.rows(schema, mapping.encodings, slab);
    const base = builder.beginRow(op, this.#sink.transaction, event);
    const out = builder.cells;
    const whole = schema.identity === 'whole-row';
    let bytes = 0;
    for (let i = 0; i < targets.length; i += 1) {
      const target = targets[i] ?? -1;
      if (target < 0 || !(whole || isKey[target] === 1)) continue;
      bytes += this.#copyCell(mapping, slab, {
        cells,
        word: i * 2,
        out,
        at: base + target * 2,
        target,
      });
    }
    this.#sink.added(bytes);
  }

  #put(mapping: StreamMapping, slab: Buffer, op: number, event: number): void {
    const { targets } = mapping;
    const builder = this.#sink.rows(mapping.schema, mapping.encodings, slab);
    const base = builder.beginRow(op, this.#sink.transaction, event);
    const out = builder.cells;
    const cells = this.#new;
    let bytes = 0;
    if (mapping.binary) {
      for (let i = 0; i < targets.length; i += 1) {
        const target = targets[i] ?? -1;
        if (target < 0) continue;
        bytes += this.#copyCell(mapping, slab, {
          cells,
          word: i * 2,
          out,
          at: base + target * 2,
          target,
        });
      }
    } else {
      for (let i = 0; i < targets.length; i += 1) {
        const target = targets[i] ?? -1;
        if (target < 0) continue;
        const length = cells[i * 2 + 1] ?? ABSENT_CELL;
        out[base + target * 2] = cells[i * 2] ?? 0;
        out[base + target * 2 + 1] = length;
        if (length > 0) bytes += length;
      }
    }
    this.#sink.added(bytes);
  }

  /** Copies one cell's words; jsonb loses its version byte. Returns its bytes. */
  #copyCell(
    mapping: StreamMapping,
    slab: Buffer,
    cell: { cells: Int32Array; word: number; out: Int32Array; at: number; target: number },
  ): number {
    const { cells, word, out, at, target } = cell;
    let offset = cells[word] ?? 0;
    let length = cells[word + 1] ?? ABSENT_CELL;
    if (
      mapping.binary &&
      mapping.isJson[target] === 1 &&
      length > 0 &&
      slab[offset] === JSONB_VERSION
    ) {
      offset += 1;
      length -= 1;
    }
    out[at] = offset;
    out[at + 1] = length;
    return length > 0 ? length : 0;
  }
}
