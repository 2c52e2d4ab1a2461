/** Whether a model can follow changes of its inputs, and which of its keys they concern. */
import { createHash } from 'node:crypto';
import { readModelInputs, silverSequence } from './layer-state.ts';
import type { PlannedModel } from './model-graph.ts';
import { KEPT_RUNS } from './silver-apply.ts';
import { CHANGES, quote, quoteTable, readColumns, temporary, type Warehouse } from './warehouse.ts';

/** The session's table of keys that changed. */
export const CHANGED = '_forebay_changed';

export type BuildPlan =
  | { readonly kind: 'full'; readonly inputs: ReadonlyMap<string, number> }
  | { readonly kind: 'unchanged' }
  | {
      readonly kind: 'incremental';
      readonly inputs: ReadonlyMap<string, number>;
      /** Session table with the keys concerned. */
      readonly changed: string;
    };

/** Under this name the model's own text stands among its inputs: a model that was edited is built anew. */
function textMark({ sql, model }: PlannedModel): string {
  const text = JSON.stringify([sql, model.keys ?? []]);
  return `sql:${createHash('sha256').update(text).digest('hex')}`;
}

/** Every changed row as it was and as it is now, its keys alone; null where an input does not have the keys. */
async function changesOf(
  warehouse: Warehouse,
  table: string,
  given: { readonly keys: readonly string[]; readonly after: number },
): Promise<string | null> {
  const changes = { schema: CHANGES, name: table };
  const names = new Set((await readColumns(warehouse, changes)).map(({ name }) => name));
  if (!given.keys.every((key) => names.has(key))) return null;
  return `SELECT ${given.keys.map(quote).join(', ')} FROM ${quoteTable(changes)}
    WHERE _forebay_sequence > ${given.after}`;
}

/**
 * A model follows changes where everything that it reads is a silver table, each changed one has the model's keys as
 * columns of the same names, and what changed since it was built is still kept.
 */
export async function planBuild(warehouse: Warehouse, planned: PlannedModel): Promise<BuildPlan> {
  const { model } = planned;
  const keys = model.keys ?? [];
  const inputs = new Map<string, number>([[textMark(planned), 0]]);
  for (const table of planned.silver) inputs.set(table, await silverSequence(warehouse, table));
  const full: BuildPlan = { kind: 'full', inputs };
  if (planned.dependsOn.length > 0 || planned.others.length > 0 || planned.silver.length === 0) {
    return full;
  }
  const built = await readModelInputs(warehouse, model.name);
  if (built.size !== inputs.size || [...inputs.keys()].some((name) => !built.has(name)))
    return full;
  const parts: string[] = [];
  for (const table of planned.silver) {
    const now = inputs.get(table) ?? 0;
    const after = built.get(table) ?? 0;
    if (now === after) continue;
    if (after > now || after < Math.max(1, now - KEPT_RUNS)) return full;
    const part = await changesOf(warehouse, table, { keys, after });
    if (part === null) return full;
    parts.push(part);
  }
  if (parts.length === 0) return { kind: 'unchanged' };
  const changed = temporary(warehouse.dialect, CHANGED);
  await warehouse.execute(`DROP TABLE IF EXISTS ${changed}`);
  await warehouse.execute(`CREATE TEMPORARY TABLE ${CHANGED} AS ${parts.join(' UNION ')}`);
  return { kind: 'incremental', inputs, changed };
}

/** Whether a row called `alias` has one of the changed keys. NULL is a key as any other; it costs a look of its own. */
export function concerned(keys: readonly string[], changed: string, alias: string): string {
  const own = keys.map((key) => `${alias}.${quote(key)}`);
  const list = own.join(', ');
  const present = keys.map((key) => `k.${quote(key)} IS NOT NULL`).join(' AND ');
  const same = keys.map((key) => `k.${quote(key)} IS NOT DISTINCT FROM ${alias}.${quote(key)}`);
  return `((${list}) IN (SELECT ${keys.map((key) => `k.${quote(key)}`).join(', ')} FROM ${changed} k WHERE ${present})
    OR ((${own.map((key) => `${key} IS NULL`).join(' OR ')})
      AND EXISTS (SELECT 1 FROM ${changed} k WHERE ${same.join(' AND ')})))`;
}
