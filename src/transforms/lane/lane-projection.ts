/** A transformation that the source does in its own query, in the columns of the lane's table. Pure. */
import type { PlannedProjection, ProjectedColumn, Projection } from '../../core/projection.ts';
import type { TargetPlan } from '../../core/connector.ts';
import { type Column, streamId, type StreamSchema } from '../../core/stream-schema.ts';
import { sameType } from '../../core/value.ts';
import type { PushDown, PushedField } from '../custom/push-down.ts';
import { jsonToCell } from './cell-json.ts';
import type { JsonKind } from './json-members.ts';
import { type LaneColumn, type LaneShape, pathId } from './lane-shape.ts';

export type LaneProjection =
  | { readonly kind: 'projection'; readonly projection: Projection }
  /** Rows are transformed one by one. */
  | { readonly kind: 'rows'; readonly why: string };

const rows = (why: string): LaneProjection => ({ kind: 'rows', why });

function kindOf(json: string): JsonKind {
  if (json === 'null') return 'null';
  if (json.startsWith('"')) return 'string';
  return json === 'true' || json === 'false' ? 'boolean' : 'number';
}

/** Null: the table's column cannot take it as the source would give it. */
function columnFor(
  column: LaneColumn,
  field: PushedField | undefined,
  source: readonly Column[],
): ProjectedColumn | null {
  if (field === undefined) return { kind: 'constant', text: null };
  if (field.kind === 'constant') {
    const { json } = field;
    const span = { kind: kindOf(json), start: 0, end: json.length };
    if (span.kind === 'null') return { kind: 'constant', text: null };
    const text = jsonToCell(column.type, json, span);
    const limited = column.type.kind === 'text' && column.nativeType !== 'text';
    return text === null || limited || column.type.kind === 'json'
      ? null
      : { kind: 'constant', text };
  }
  const from = source[field.column];
  if (from === undefined) return null;
  // Limits of a text in the destination are those of the source's column, or there are none.
  const limited = column.from !== from.ref && column.nativeType !== 'text';
  if (field.kind !== 'column') return column.type.kind === 'text' && !limited ? field : null;
  const same = column.nativeType === from.nativeType && sameType(column.type, from.type);
  // A probe cannot tell one boolean from another.
  const known = column.from === from.ref || column.type.kind === 'boolean';
  return known && same ? field : null;
}

/**
 * Where each column of the shape comes from when the source does the whole transformation. `schema` is the shape as
 * the destination sees it, and goes along with the rows.
 */
export function projectionOf(
  shape: LaneShape,
  schema: StreamSchema,
  pushed: PushDown,
): LaneProjection {
  if (pushed.kind === 'kept') return rows(pushed.why);
  if (shape.key === 'hash') return rows('the key does not come through and is hashed here');
  const source = shape.source.schema.columns;
  const named = new Set(shape.columns.map(({ path }) => pathId(path)));
  for (const [name, field] of pushed.fields) {
    const isNull = field.kind === 'constant' && field.json === 'null';
    if (!named.has(name) && !isNull) return rows(`the table has no column for ${name} yet`);
  }
  const columns: ProjectedColumn[] = [];
  for (const [index, column] of shape.columns.entries()) {
    const [name = ''] = column.path;
    const field = column.path.length === 1 ? pushed.fields.get(name) : undefined;
    const projected = columnFor(column, field, source);
    const isKey = shape.keyColumns.includes(index);
    if (projected === null || (isKey && projected.kind !== 'column'))
      return rows(`column ${column.name} of ${streamId(shape.source.table)} has another type`);
    columns.push(projected);
  }
  return { kind: 'projection', projection: { schema, columns, where: pushed.where } };
}

/** `plan` is the destination's for rows of the projection. */
export function plannedProjection(projection: Projection, plan: TargetPlan): PlannedProjection {
  const encodings = projection.schema.columns.map(({ name }, index) => {
    const byName = plan.columns.find((candidate) => candidate.name === name);
    return (byName ?? plan.columns[index])?.encoding ?? 'text';
  });
  return { projection, encodings, frameFormat: plan.frameFormat };
}
