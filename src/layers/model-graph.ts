/** What models read, in which order they are built, and their SQL with every table named in full. */
import type { Model } from './model-file.ts';
import { modelFailure } from './model-file.ts';
import { type TableReference, tableReferences } from './sql-tables.ts';
import { GOLD, quoteTable, SILVER, type TableName } from './warehouse.ts';

export interface PlannedModel {
  readonly model: Model;
  /** With names of tables as they are found from anywhere. */
  readonly sql: string;
  /** Other models. */
  readonly dependsOn: readonly string[];
  /** Tables of silver. */
  readonly silver: readonly string[];
  /** Everything else that it reads. */
  readonly others: readonly string[];
}

interface Known {
  readonly models: ReadonlySet<string>;
  readonly silver: ReadonlySet<string>;
}

/** A bare name is a model, else a silver table; in a model of that name the silver table. Null: as it stands. */
function resolve(reference: TableReference, known: Known, self: string | null): TableName | null {
  const [first = '', second] = reference.parts.slice(-2);
  if (second !== undefined) return { schema: first, name: second };
  if (first !== self && known.models.has(first)) return { schema: GOLD, name: first };
  return known.silver.has(first) ? { schema: SILVER, name: first } : null;
}

/** The query with bare names of models and silver tables written in full. `self` is the model that it belongs to. */
export function qualify(
  sql: string,
  known: Known,
  self: string | null,
): { readonly sql: string; readonly tables: readonly TableName[] } {
  let out = '';
  let at = 0;
  const tables: TableName[] = [];
  for (const reference of tableReferences(sql)) {
    const table = resolve(reference, known, self);
    tables.push(table ?? { schema: '', name: reference.parts.at(-1) ?? '' });
    if (table === null || reference.parts.length > 1) continue;
    out += sql.slice(at, reference.start) + quoteTable(table);
    at = reference.end;
  }
  return { sql: out + sql.slice(at), tables };
}

function unique(names: readonly string[]): string[] {
  return [...new Set(names)];
}

function planModel(model: Model, known: Known): PlannedModel {
  const { sql, tables } = qualify(model.sql, known, model.name);
  const isModel = ({ schema, name }: TableName): boolean =>
    schema === GOLD && known.models.has(name);
  return {
    model,
    sql,
    dependsOn: unique(tables.filter(isModel).map(({ name }) => name)),
    silver: unique(tables.filter(({ schema }) => schema === SILVER).map(({ name }) => name)),
    others: unique(
      tables
        .filter((table) => !isModel(table) && table.schema !== SILVER)
        .map(({ schema, name }) => (schema === '' ? name : `${schema}.${name}`)),
    ),
  };
}

/** A way from a model back to itself; null where there is none. */
function findCircle(byName: ReadonlyMap<string, PlannedModel>): string[] | null {
  const done = new Set<string>();
  const walk = (name: string, path: readonly string[]): string[] | null => {
    const seen = path.indexOf(name);
    if (seen >= 0) return [...path.slice(seen), name];
    if (done.has(name)) return null;
    for (const next of byName.get(name)?.dependsOn ?? []) {
      const circle = walk(next, [...path, name]);
      if (circle !== null) return circle;
    }
    done.add(name);
    return null;
  };
  for (const name of byName.keys()) {
    const circle = walk(name, []);
    if (circle !== null) return circle;
  }
  return null;
}

/** Each model after those that it reads, otherwise by name. Throws `model_invalid` for a circle, which it names. */
export function planModels(
  models: readonly Model[],
  silver: ReadonlySet<string>,
): readonly PlannedModel[] {
  const known = { models: new Set(models.map(({ name }) => name)), silver };
  const byName = new Map(
    models
      .map((model) => planModel(model, known))
      .toSorted((a, b) => (a.model.name < b.model.name ? -1 : 1))
      .map((planned): [string, PlannedModel] => [planned.model.name, planned]),
  );
  const circle = findCircle(byName);
  if (circle !== null) {
    const first = byName.get(circle[0] ?? '');
    const message = `models depend on each other in a circle: ${circle.join(' -> ')}`;
    throw modelFailure([{ file: first?.model.file ?? '', line: 1, message }]);
  }
  const order = new Map<string, PlannedModel>();
  const add = (name: string): void => {
    const planned = byName.get(name);
    if (planned === undefined || order.has(name)) return;
    for (const before of planned.dependsOn) add(before);
    order.set(name, planned);
  };
  for (const name of byName.keys()) add(name);
  return [...order.values()];
}
