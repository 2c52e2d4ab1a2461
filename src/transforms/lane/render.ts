/** A transformed document as cells of the destination's row. */
import { createHash } from 'node:crypto';
import type { RowBatch } from '../../core/row-batch.ts';
import type { Column } from '../../core/stream-schema.ts';
import { cellText, jsonToCell, plainNumber } from './cell-json.ts';
import { eachField } from './fields.ts';
import type { Growth } from './growth.ts';
import type { JsonSpan } from './json-members.ts';
import { type LaneColumn, type LaneShape, pathId, pathOf } from './lane-shape.ts';
import { type RowDocument, RowDocuments } from './row-document.ts';

/** A text, the number of the source's column whose cell is taken as it is, NULL, or no value (left unchanged). */
export type LaneCell = string | number | null | undefined;

/** A shape as rows are made by it. */
export interface Binding {
  readonly shape: LaneShape;
  readonly documents: RowDocuments;
  /** Columns by the path of their field. */
  readonly columns: ReadonlyMap<string, number>;
  /** Per column the source's column that it comes from; -1 where it is not one of them as it is. */
  readonly sources: readonly number[];
  /** Key columns, in key order. */
  readonly key: readonly number[];
  /** The source's columns by name. */
  readonly byName: ReadonlyMap<string, { readonly index: number; readonly column: Column }>;
}

export function bind(shape: LaneShape): Binding {
  const { schema } = shape.source;
  const fields = shape.columns.flatMap((column, index) =>
    column.path.length === 0 ? [] : [[pathId(column.path), index] as const],
  );
  return {
    shape,
    documents: new RowDocuments(schema),
    columns: new Map(fields),
    sources: shape.columns.map(({ from }) => schema.columns.findIndex(({ ref }) => ref === from)),
    key: shape.keyColumns,
    byName: new Map(schema.columns.map((column, index) => [column.name, { index, column }])),
  };
}

export interface SourceRow {
  readonly batch: RowBatch;
  readonly row: number;
}

/** SHA-256 over the texts of the source's key, as one JSON array. */
function keyHash({ shape }: Binding, { batch, row }: SourceRow): string {
  const texts = shape.source.schema.key.map((column) => cellText(batch, row, column) ?? null);
  return createHash('sha256').update(JSON.stringify(texts)).digest('hex');
}

/** Cells that say which row it is; all others have no value. */
export function keyCells(binding: Binding, source: SourceRow): LaneCell[] {
  const cells: LaneCell[] = binding.shape.columns.map(() => undefined);
  if (binding.shape.key === 'hash') cells[0] = keyHash(binding, source);
  else for (const column of binding.key) cells[column] = binding.sources[column];
  return cells;
}

export type Rendered =
  | { readonly kind: 'cells'; readonly cells: LaneCell[] }
  /** The table is to grow first. */
  | { readonly kind: 'grows' }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string };

const failed = (code: string, message: string): Rendered => ({ kind: 'failed', code, message });

/** Limit of `character varying(n)` and its like, in characters. */
function tooLong({ type, nativeType }: LaneColumn, text: string): boolean {
  const limit = type.kind === 'text' ? /\((\d+)\)$/.exec(nativeType)?.[1] : undefined;
  if (limit === undefined || text.length <= Number(limit)) return false;
  return Array.from(text).length > Number(limit);
}

const isText = ({ type, nativeType }: LaneColumn): boolean =>
  type.kind === 'text' && nativeType === 'text';

/** Whether two texts are the same value; numbers may be written in several ways. */
function sameKey({ type }: LaneColumn, a: string, b: string): boolean {
  if (type.kind !== 'decimal' && type.kind !== 'float') return a === b;
  const bare = (text: string): string =>
    /^-?\d+(?:\.\d+)?$/.test(text) ? text.replace(/\.0+$|(?<=\.\d*?[1-9])0+$/, '') : text;
  return a === b || bare(plainNumber(a) ?? a) === bare(plainNumber(b) ?? b);
}

export interface Transformed {
  readonly source: SourceRow;
  readonly before: RowDocument;
  readonly json: string;
}

/** Where fields go that have no column, and values that do not fit theirs. */
export interface RenderRules {
  /** Null: such fields are left out, such values fail the row. */
  readonly growth: Growth | null;
  readonly leftOut: (path: readonly string[]) => void;
  readonly flatten: boolean;
}

class Rendering {
  readonly #binding: Binding;
  readonly #row: Transformed;
  readonly #rules: RenderRules;
  readonly #cells: LaneCell[];
  #grows = false;
  #misfit: string | null = null;

  constructor(binding: Binding, row: Transformed, rules: RenderRules) {
    this.#binding = binding;
    this.#row = row;
    this.#rules = rules;
    this.#cells = binding.shape.columns.map((_, column) => this.#missing(column));
  }

  run(): Rendered {
    const { json } = this.#row;
    const { flatten } = this.#rules;
    const { columns } = this.#binding;
    const isObject = eachField(
      json,
      (id) => flatten && !columns.has(id),
      (id, span) => {
        const column = columns.get(id);
        if (column === undefined) this.#unknown(id, span);
        else this.#cells[column] = this.#cell(column, span);
      },
    );
    if (!isObject) return failed('transform_document', 'the outcome is no JSON object');
    const changed = this.#keyChange();
    if (changed !== null) return failed('transform_key', changed);
    if (this.#grows) return { kind: 'grows' };
    if (this.#misfit === null) return { kind: 'cells', cells: this.#cells };
    return failed('value_rejected', `column ${this.#misfit} cannot hold the value exactly`);
  }

  /** A field that did not come: NULL, but where the source left the value as it was. */
  #missing(column: number): LaneCell {
    const source = this.#binding.sources[column] ?? -1;
    return source >= 0 && this.#row.before.values[source] === undefined ? source : null;
  }

  #unknown(id: string, span: JsonSpan): void {
    const { json, before } = this.#row;
    if (span.kind === 'null') return;
    if (this.#rules.growth === null) {
      this.#rules.leftOut(pathOf(id));
      return;
    }
    const named = this.#binding.byName.get(id);
    const raw = json.slice(span.start, span.end);
    const same = named !== undefined && before.values[named.index] === raw ? named.column : null;
    this.#rules.growth.add(id, { json, span }, same);
    this.#grows = true;
  }

  #cell(index: number, span: JsonSpan): LaneCell {
    const { json, before } = this.#row;
    const column = this.#binding.shape.columns[index];
    const source = this.#binding.sources[index] ?? -1;
    const raw = json.slice(span.start, span.end);
    if (source >= 0 && before.values[source] === raw) return source;
    if (span.kind === 'null' || column === undefined) return null;
    const text = jsonToCell(column.type, json, span);
    if (text !== null && !tooLong(column, text)) return text;
    if (this.#binding.key.includes(index)) return text;
    if (this.#rules.growth === null || isText(column)) this.#misfit ??= column.name;
    else {
      this.#rules.growth.widen(column, span.kind);
      this.#grows = true;
    }
    return null;
  }

  /** The row stands, and is found again, under the key that the source gave it. */
  #keyChange(): string | null {
    const { shape, key, sources } = this.#binding;
    const { source } = this.#row;
    if (shape.key === 'hash') this.#cells[0] = keyHash(this.#binding, source);
    if (shape.key !== 'fields') return null;
    for (const column of key) {
      const from = sources[column] ?? -1;
      const cell = this.#cells[column];
      const was = cellText(source.batch, source.row, from);
      const is = typeof cell === 'number' ? was : cell;
      const of = shape.columns[column];
      if (is == null || was == null || of === undefined || !sameKey(of, is, was))
        return `the key ${of?.name ?? ''} is not the one that the row has`;
      this.#cells[column] = from;
    }
    return null;
  }
}

export function render(binding: Binding, row: Transformed, rules: RenderRules): Rendered {
  return new Rendering(binding, row, rules).run();
}

/** The key's texts as the destination will show them, by column. */
export function keyPayload(
  binding: Binding,
  source: SourceRow,
): Readonly<Record<string, string | null>> {
  const cells = keyCells(binding, source);
  const entries = binding.key.map((column) => {
    const cell = cells[column];
    const text = typeof cell === 'number' ? cellText(source.batch, source.row, cell) : cell;
    return [binding.shape.columns[column]?.name ?? '', text ?? null] as const;
  });
  return Object.fromEntries(entries);
}
