// The system that the example connector reads: a journal, one file of JSON lines that only grows.
//
//   {"table":"people","columns":{"id":"int","name":"text"},"key":["id"]}
//   {"at":"2026-01-01T00:00:00Z","changes":[["i","people",{"id":1,"name":"Ada"}]]}
//
// A line of the second form is a committed transaction; a position is the offset of the byte after it.
import { open } from 'node:fs/promises';

import type { Position } from '../../src/core/position.ts';
import type { StreamSchema } from '../../src/core/stream-schema.ts';
import type { CellEncoding, LogicalType } from '../../src/core/value.ts';
import { encodeCell, type RowCells } from './example-cells.ts';

type JsonValue = string | number | boolean | null;
export type JsonRow = Readonly<Record<string, JsonValue>>;
export type Declaration = {
  readonly table: string;
  readonly columns: Readonly<Record<string, keyof typeof TYPES>>;
  readonly key: readonly string[];
};
type Change = readonly ['i' | 'u' | 'd', string, JsonRow];
export type Transaction = { readonly at: string; readonly changes: readonly Change[] };
type Line = { readonly end: number; readonly content: Declaration | Transaction };

export const FAMILY = 'example';
export const NAMESPACE = 'journal';
const TYPES = {
  int: { kind: 'int', bits: 64 },
  text: { kind: 'text' },
  boolean: { kind: 'boolean' },
} as const satisfies Record<string, LogicalType>;

/** Positions have one width, so that their order is the order of their texts. */
export const printPosition = (offset: number): Position => String(offset).padStart(15, '0');

export function schemaOf(declared: Declaration, version: number): StreamSchema {
  const names = Object.keys(declared.columns);
  return {
    stream: { namespace: NAMESPACE, name: declared.table },
    ref: declared.table,
    version,
    columns: Object.entries(declared.columns).map(([name, type]) => ({
      name,
      type: TYPES[type],
      nativeType: type,
      nullable: !declared.key.includes(name),
      // Nothing else tells columns apart here: a renamed column is one that went and one that came.
      ref: name,
      existingRows: { kind: 'null' },
    })),
    computed: [],
    identity: declared.key.length > 0 ? 'key' : 'none',
    key: declared.key.map((name) => names.indexOf(name)),
    family: FAMILY,
  };
}

export function rowCells(
  schema: StreamSchema,
  row: JsonRow,
  encodings: readonly CellEncoding[],
): RowCells {
  return schema.columns.map(({ name, type }, column) => {
    const value = row[name];
    if (value === undefined || value === null) return null;
    const text = typeof value === 'boolean' ? (value ? 't' : 'f') : String(value);
    return encodeCell(type, encodings[column] ?? 'text', text);
  });
}

export class Journal {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Complete lines from an offset on; one that is being written is left for later. */
  async lines(from: number): Promise<Line[]> {
    const file = await open(this.path, 'r');
    try {
      const { size } = await file.stat();
      const bytes = Buffer.alloc(Math.max(0, size - from));
      await file.read(bytes, 0, bytes.length, from);
      const lines: Line[] = [];
      for (let at = 0; ;) {
        const newline = bytes.indexOf(0x0a, at);
        if (newline < 0) return lines;
        const content = JSON.parse(bytes.toString('utf8', at, newline)) as Line['content'];
        lines.push({ end: from + newline + 1, content });
        at = newline + 1;
      }
    } finally {
      await file.close();
    }
  }

  async end(): Promise<number> {
    return (await this.lines(0)).at(-1)?.end ?? 0;
  }
}
