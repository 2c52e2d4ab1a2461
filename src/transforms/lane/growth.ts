/** Columns that come with the documents: fields that are new, and values that their column cannot hold. */
import type { EvolutionStep } from '../../core/connector.ts';
import { ForebayError } from '../../core/errors.ts';
import { type Column, streamId } from '../../core/stream-schema.ts';
import { type LogicalType, printType, sameType } from '../../core/value.ts';
import { jsonToCell } from './cell-json.ts';
import type { JsonKind, JsonSpan } from './json-members.ts';
import {
  columnName,
  type LaneColumn,
  type LaneShape,
  nativeTypeOf,
  pathId,
  pathOf,
  takenNames,
  typeOfKind,
  widened,
} from './lane-shape.ts';

/** More fields than that are names made of values, and more than most systems have columns for. */
const MOST_COLUMNS = 1000;

type NewColumn = Omit<LaneColumn, 'name'>;

export interface ShapeChange {
  readonly shape: LaneShape;
  readonly steps: readonly EvolutionStep[];
  /** For people: one line per change. */
  readonly changes: readonly string[];
}

const wide = (column: NewColumn, type: LogicalType): NewColumn => ({
  ...column,
  type,
  nativeType: nativeTypeOf(type),
  from: null,
});

/** A column of text without a limit holds everything. */
function holdsAll(column: LaneColumn, type: LogicalType): boolean {
  if (column.type.kind !== 'text') return sameType(column.type, type);
  return type.kind !== 'text' || column.nativeType === nativeTypeOf(type);
}

export class Growth {
  readonly #added = new Map<string, NewColumn>();
  readonly #widened = new Map<string, LogicalType>();

  get isEmpty(): boolean {
    return this.#added.size + this.#widened.size === 0;
  }

  /** `same`: the source's column of that name, if the value is its. */
  add(
    id: string,
    value: { readonly json: string; readonly span: JsonSpan },
    same: Column | null,
  ): void {
    const { json, span } = value;
    const known = this.#added.get(id);
    if (known !== undefined) {
      if (jsonToCell(known.type, json, span) === null)
        this.#added.set(id, wide(known, widened(known.type, span.kind)));
      return;
    }
    const type = same?.type ?? typeOfKind(span.kind);
    if (type === null) return;
    const nativeType = same?.nativeType ?? nativeTypeOf(type);
    this.#added.set(id, { path: pathOf(id), type, nativeType, from: same?.ref ?? null });
  }

  widen(column: LaneColumn, kind: JsonKind): void {
    const id = pathId(column.path);
    const before = this.#widened.get(id);
    const type = widened(column.type, kind);
    // Text holds what any other type does.
    if (before?.kind !== 'text') this.#widened.set(id, type);
  }

  /** What of it the shape does not have yet. */
  apply(shape: LaneShape, separator: string): ShapeChange {
    const columns = shape.columns.map((column) => {
      const type = column.path.length === 0 ? undefined : this.#widened.get(pathId(column.path));
      if (type === undefined || holdsAll(column, type)) return column;
      return { ...wide(column, type), name: column.name };
    });
    const steps: EvolutionStep[] = columns.flatMap((column, index) =>
      column === shape.columns[index] ? [] : [{ kind: 'widen-column', column: index }],
    );
    const changes = columns
      .filter((column, index) => column !== shape.columns[index])
      .map(({ name, type }) => `column ${name} holds ${printType(type)} from now on`);
    const known = new Set(columns.map(({ path }) => pathId(path)));
    const taken = takenNames(columns);
    for (const [id, column] of this.#added) {
      if (known.has(id)) continue;
      const name = columnName(column.path, separator, taken);
      taken.add(name.toLowerCase());
      steps.push({ kind: 'add-column', column: columns.length, existing: null });
      changes.push(`column ${name} (${printType(column.type)}) added by the transformation`);
      columns.push({ ...column, name });
    }
    assertWidth(shape, columns);
    return {
      shape: steps.length === 0 ? shape : { ...shape, version: shape.version + 1, columns },
      steps,
      changes,
    };
  }
}

export function assertWidth(shape: LaneShape, columns: readonly LaneColumn[]): void {
  if (columns.length <= MOST_COLUMNS) return;
  const { id, table } = shape.source;
  throw new ForebayError('schema_change', {
    message: `transformed rows of ${id} have more than ${MOST_COLUMNS} fields, too many for columns of ${streamId(table)}`,
    fix: 'Keep names that are values inside one nested value; then run `forebay recover` for this stream.',
    stream: id,
  });
}
