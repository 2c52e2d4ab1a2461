/** From what a probe tells to the columns of a table, and from those to the columns after a change. Pure. */
import type { EvolutionStep, StreamTarget } from '../../core/connector.ts';
import { ForebayError } from '../../core/errors.ts';
import type { Column, StreamSchema } from '../../core/stream-schema.ts';
import { printType, sameType } from '../../core/value.ts';
import { assertWidth, type ShapeChange } from './growth.ts';
import {
  columnName,
  keyHashColumn,
  type LaneColumn,
  type LaneKey,
  type LaneShape,
  nativeTypeOf,
  pathId,
  takenNames,
  typeOfKind,
} from './lane-shape.ts';
import type { ProbedField } from './probe.ts';

/** Null: the probe did not get through, nothing is known. */
export type ProbedFields = readonly ProbedField[] | null;

export interface LaneRules {
  readonly transformation: string;
  readonly separator: string;
}

function keyRefs(schema: StreamSchema): string[] {
  return schema.key.map((index) => schema.columns[index]?.ref ?? '');
}

function keyComesThrough(schema: StreamSchema, refs: readonly (string | null)[]): boolean {
  return schema.key.length > 0 && keyRefs(schema).every((ref) => refs.includes(ref));
}

/** Whether rows of the source are still told apart in the way that they stand in the table. */
function keyStands(shape: LaneShape): boolean {
  const { schema } = shape.source;
  if ((schema.identity === 'key') !== (shape.key !== 'none')) return false;
  const refs = keyRefs(schema);
  const carried = shape.keyColumns.map((column) => shape.columns[column]?.from);
  return shape.key !== 'fields' || carried.join() === refs.join();
}

function keyOf(schema: StreamSchema, fields: ProbedFields): LaneKey {
  if (schema.identity !== 'key') return 'none';
  const refs = fields?.map(({ column }) => column?.ref ?? null) ?? [];
  return keyComesThrough(schema, refs) ? 'fields' : 'hash';
}

/** A null tells no type: its column comes with the first value. */
function columnOf(field: ProbedField): Omit<LaneColumn, 'name'> | null {
  const { path, column } = field;
  const type = column?.type ?? typeOfKind(field.kind);
  if (type === null) return null;
  const nativeType = column?.nativeType ?? nativeTypeOf(type);
  return { path, type, nativeType, from: column?.ref ?? null };
}

const asField = (column: Column): ProbedField => ({ path: [column.name], kind: 'null', column });

/** The columns that a table begins with. Without any the source's own stand in: a table cannot be without. */
export function initialShape(
  target: StreamTarget,
  fields: ProbedFields,
  rules: LaneRules,
): LaneShape {
  const { schema } = target;
  const key = keyOf(schema, fields);
  const columns: LaneColumn[] = key === 'hash' ? [keyHashColumn()] : [];
  const known = fields ?? [];
  const begun = key === 'none' && known.length === 0 ? schema.columns.map(asField) : known;
  const taken = takenNames(columns);
  for (const field of begun) {
    const column = columnOf(field);
    if (column === null) continue;
    const name = columnName(field.path, rules.separator, taken);
    taken.add(name.toLowerCase());
    columns.push({ ...column, name });
  }
  const { transformation } = rules;
  const keys = { none: [], hash: [0], fields: keyRefs(schema).map((ref) => indexOf(columns, ref)) };
  const shape: LaneShape = {
    version: 1,
    transformation,
    key,
    keyColumns: keys[key],
    columns,
    source: target,
  };
  assertWidth(shape, columns);
  return shape;
}

function indexOf(columns: readonly LaneColumn[], ref: string): number {
  return columns.findIndex(({ from }) => from === ref);
}

export function sameSource(a: StreamSchema, b: StreamSchema): boolean {
  const text = (schema: StreamSchema): string =>
    JSON.stringify([
      schema.ref,
      schema.identity,
      schema.key,
      schema.columns.map(({ ref, name, nativeType, type }) => [
        ref,
        name,
        nativeType,
        printType(type),
      ]),
    ]);
  return text(a) === text(b);
}

class Adoption {
  readonly #target: StreamTarget;
  readonly #rules: LaneRules;
  readonly #shape: LaneShape;
  readonly #columns: LaneColumn[];
  readonly #steps: EvolutionStep[] = [];
  readonly #changes: string[] = [];

  constructor(shape: LaneShape, target: StreamTarget, rules: LaneRules) {
    this.#shape = shape;
    this.#target = target;
    this.#rules = rules;
    this.#columns = this.#renumbered();
  }

  run(fields: ProbedFields, sourceSteps: readonly EvolutionStep[]): ShapeChange {
    if (fields !== null) {
      for (const step of sourceSteps) if (step.kind === 'rename-column') this.#rename(step, fields);
      this.#forgetOrigins(fields);
      for (const field of fields) this.#field(field, sourceSteps);
    }
    const shape: LaneShape = {
      ...this.#shape,
      version: this.#shape.version + 1,
      transformation: this.#rules.transformation,
      columns: this.#columns,
      source: this.#target,
    };
    if (!keyStands(shape)) throw this.#keyDiffers();
    assertWidth(shape, this.#columns);
    return { shape, steps: this.#steps, changes: this.#changes };
  }

  /** A table that was made anew numbers its columns in its own way: then the names tell which is which. */
  #renumbered(): LaneColumn[] {
    const before = this.#shape.source.schema;
    const after = this.#target.schema;
    const same = before.ref === after.ref;
    const refOf = (ref: string): string | null => {
      const name = before.columns.find((column) => column.ref === ref)?.name;
      const now = after.columns.find((column) =>
        same ? column.ref === ref : column.name === name,
      );
      return now?.ref ?? null;
    };
    return this.#shape.columns.map((column) => ({
      ...column,
      from: column.from === null ? null : refOf(column.from),
    }));
  }

  /** A rename that comes through as it is renames the column, step by step as at the source. */
  #rename(
    step: Extract<EvolutionStep, { readonly kind: 'rename-column' }>,
    fields: readonly ProbedField[],
  ): void {
    const source = this.#target.schema.columns[step.column];
    const index = this.#columns.findIndex(
      ({ from, name }) => from === source?.ref && name === step.from,
    );
    const column = this.#columns[index];
    const comes = fields.some(
      ({ path, column: now }) => now?.ref === source?.ref && pathId(path) === source?.name,
    );
    if (column === undefined || source === undefined || !comes) return;
    this.#steps.push({ kind: 'rename-column', from: step.from, column: index, to: step.to });
    this.#changes.push(`column ${step.from} renamed to ${step.to ?? source.name}`);
    this.#columns[index] = { ...column, name: step.to ?? source.name, path: [source.name] };
  }

  #forgetOrigins(fields: readonly ProbedField[]): void {
    const origin = new Map(fields.map(({ path, column }) => [pathId(path), column?.ref ?? null]));
    for (const [index, column] of this.#columns.entries()) {
      if (column.path.length === 0) continue;
      this.#columns[index] = { ...column, from: origin.get(pathId(column.path)) ?? null };
    }
  }

  #field(field: ProbedField, sourceSteps: readonly EvolutionStep[]): void {
    const wanted = columnOf(field);
    if (wanted === null) return;
    const id = pathId(field.path);
    const index = this.#columns.findIndex(({ path }) => path.length > 0 && pathId(path) === id);
    const there = this.#columns[index];
    if (there === undefined) this.#add(wanted, sourceSteps);
    else if (wanted.from !== null && this.#follows(there, wanted)) {
      this.#columns[index] = { ...there, type: wanted.type, nativeType: wanted.nativeType };
      this.#steps.push({ kind: 'widen-column', column: index });
      this.#changes.push(`column ${there.name} is ${wanted.nativeType} as at the source`);
    }
  }

  /** The column had the source's type, and that is another now. */
  #follows(there: LaneColumn, wanted: Omit<LaneColumn, 'name'>): boolean {
    const before = this.#shape.source.schema.columns.find(({ ref }) => ref === wanted.from);
    const had = before?.nativeType === there.nativeType && sameType(before.type, there.type);
    return had && (there.nativeType !== wanted.nativeType || !sameType(there.type, wanted.type));
  }

  #add(column: Omit<LaneColumn, 'name'>, sourceSteps: readonly EvolutionStep[]): void {
    const name = columnName(column.path, this.#rules.separator, takenNames(this.#columns));
    const { columns } = this.#target.schema;
    const added = sourceSteps.find(
      (step) => step.kind === 'add-column' && columns[step.column]?.ref === column.from,
    );
    const existing = added?.kind === 'add-column' ? added.existing : null;
    this.#steps.push({ kind: 'add-column', column: this.#columns.length, existing });
    this.#changes.push(`column ${name} (${printType(column.type)}) added by the transformation`);
    this.#columns.push({ ...column, name });
  }

  #keyDiffers(): ForebayError {
    const { id } = this.#target;
    return new ForebayError('schema_change', {
      message: `rows of ${id} would no longer stand in the table under the key that they have there`,
      fix: 'Leave the fields of the key as they were, or drop the table and begin another pipeline.',
      stream: id,
    });
  }
}

/**
 * The shape after a change of the source's table or of the transformation. Columns stay, whatever no longer comes.
 * Fails with `schema_change` where rows would stand under another key than before.
 */
export function adopt(
  shape: LaneShape,
  target: StreamTarget,
  change: { readonly fields: ProbedFields; readonly steps: readonly EvolutionStep[] },
  rules: LaneRules,
): ShapeChange {
  return new Adoption(shape, target, rules).run(change.fields, change.steps);
}
