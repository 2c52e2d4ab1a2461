/** A row as one JSON text: an object with a member per column that the row has a value of. */
import { isUtf8 } from 'node:buffer';
import type { RowBatch } from '../../core/row-batch.ts';
import type { StreamSchema } from '../../core/stream-schema.ts';
import { cellText, cellToJson } from './cell-json.ts';

export interface RowDocument {
  readonly json: string;
  /** The JSON of each column's value; undefined where the row has none (unchanged, absent). */
  readonly values: readonly (string | undefined)[];
}

/** Makes documents of rows whose cells are text. */
export class RowDocuments {
  readonly #schema: StreamSchema;
  readonly #names: readonly string[];

  constructor(schema: StreamSchema) {
    this.#schema = schema;
    this.#names = schema.columns.map(({ name }) => JSON.stringify(name));
  }

  /** Null if a text is not UTF-8, which JSON cannot say. */
  of(batch: RowBatch, row: number): RowDocument | null {
    const { columns, rawText } = this.#schema;
    if (rawText === true && !rowIsUtf8(batch, row)) return null;
    const values: (string | undefined)[] = [];
    let json = '{';
    for (let column = 0; column < columns.length; column += 1) {
      const text = cellText(batch, row, column);
      const type = columns[column]?.type;
      if (text === undefined || type === undefined) {
        values.push(undefined);
        continue;
      }
      const value = text === null ? 'null' : cellToJson(type, text);
      values.push(value);
      json += `${json.length > 1 ? ',' : ''}${this.#names[column] ?? ''}:${value}`;
    }
    return { json: `${json}}`, values };
  }
}

export function rowIsUtf8(batch: RowBatch, row: number): boolean {
  const width = batch.schema.columns.length * 2;
  for (let word = row * width; word < (row + 1) * width; word += 2) {
    const at = batch.cells[word] ?? 0;
    const length = batch.cells[word + 1] ?? -1;
    if (length > 0 && !isUtf8(batch.slab.subarray(at, at + length))) return false;
  }
  return true;
}
