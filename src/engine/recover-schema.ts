/** What became of a stream's table while nobody followed it, and how its table at the destination gets there. */
import type { Checkpoint } from '../core/checkpoint.ts';
import type { EvolutionStep, StreamTarget, TargetPlan } from '../core/connector.ts';
import { asForebayError, type ForebayError } from '../core/errors.ts';
import type { Column, StreamSchema } from '../core/stream-schema.ts';
import type { Attempt } from './attempt.ts';
import type { SchemaChangePolicy } from './pipeline.ts';
import { compareSchemas, isWidening, planEvolution } from './schema-evolution.ts';
import { concernsOneStream } from './snapshot-phase.ts';
import { firstError } from './targets.ts';

export interface SchemaStep {
  readonly schema: StreamSchema;
  readonly steps: readonly EvolutionStep[];
  readonly retired: readonly string[];
  /** For people: one line per change. */
  readonly changes: readonly string[];
}

/**
 * The remembered schema with the identities of the columns as they are now. Another server, or a table made anew,
 * numbers its tables and columns in its own way: then only the names tell which column is which.
 */
function renumbered(before: StreamSchema, after: StreamSchema): StreamSchema {
  const now = new Map(after.columns.map((column) => [column.name, column.ref]));
  const sameNames =
    before.columns.length === after.columns.length &&
    before.columns.every(({ name }) => now.has(name));
  if (before.ref === after.ref && !sameNames) return before;
  const columns = before.columns.map((column): Column => ({
    ...column,
    ref: now.get(column.name) ?? `gone:${column.ref}`,
  }));
  return { ...before, columns };
}

/** So that only what the destination can follow by itself is left to plan: the rest was approved. */
function withApproved(before: StreamSchema, after: StreamSchema): StreamSchema {
  const difference = compareSchemas(before, after);
  const narrowed = new Map(
    difference.retyped.flatMap(({ before: was, column }) => {
      const now = after.columns[column];
      return now === undefined || isWidening(was, now) ? [] : [[was.ref, now] as const];
    }),
  );
  const columns = before.columns.map((column) => {
    const now = narrowed.get(column.ref);
    return now === undefined ? column : { ...column, type: now.type, nativeType: now.nativeType };
  });
  return { ...before, columns };
}

const withoutKey = (schema: StreamSchema): StreamSchema => ({
  ...schema,
  identity: 'none',
  key: [],
});

/**
 * From the remembered schema to the source's. Changes that pause a running stream are followed here, because
 * recover is the approval; whether the destination's table can take them is the destination's to say. Pure.
 */
export function followSchema(
  remembered: { readonly schema: StreamSchema; readonly retired: readonly string[] },
  found: StreamSchema,
  policy: SchemaChangePolicy,
): SchemaStep {
  const { retired } = remembered;
  const before = renumbered(remembered.schema, found);
  const difference = compareSchemas(before, found);
  const described = planEvolution(before, found, { policy: 'pause', retired });
  const changes = described.kind === 'pause' ? described.reason.split('; ') : [];
  const onlyAdds =
    !difference.keyChanged &&
    difference.dropped.length + difference.renamed.length + difference.retyped.length === 0;
  if (policy === 'ignore' && onlyAdds && difference.added.length > 0) {
    const kept = found.columns.filter((column) =>
      before.columns.some(({ ref }) => ref === column.ref),
    );
    const place = (column: number): number =>
      kept.findIndex(({ ref }) => ref === found.columns[column]?.ref);
    const schema = {
      ...found,
      version: remembered.schema.version,
      columns: kept,
      key: found.key.map(place),
    };
    return { schema, steps: [], retired, changes: changes.map((change) => `ignored: ${change}`) };
  }
  const approved = withApproved(withoutKey(before), withoutKey(found));
  const plan = planEvolution(approved, withoutKey(found), { policy: 'evolve', retired });
  const version = remembered.schema.version + (changes.length > 0 ? 1 : 0);
  return {
    schema: { ...found, version },
    steps: plan.kind === 'evolve' ? plan.steps : [],
    retired: [...new Set([...retired, ...difference.dropped.map((column) => column.name)])],
    changes,
  };
}

export type Fitting =
  | { readonly kind: 'fits'; readonly plan: TargetPlan }
  | { readonly kind: 'unfit'; readonly error: ForebayError };

/**
 * Brings the destination's table to the target's schema, in a transaction of its own under the lost checkpoint. A
 * table that fits already (the user has adjusted it) or is gone (it is made anew) is left to `prepare`.
 */
export async function fitTable(
  attempt: Attempt,
  target: StreamTarget,
  how: { readonly steps: readonly EvolutionStep[]; readonly checkpoint: Checkpoint },
): Promise<Fitting> {
  try {
    const first = await attempt.destination.plan(target);
    const fitsAlready = firstError(first.findings) === null;
    if (!fitsAlready && first.exists && how.steps.length > 0) {
      await attempt.session.begin();
      await attempt.session.evolve(target, how.steps);
      await attempt.session.commit(how.checkpoint, []);
    }
    const plan = fitsAlready ? first : await attempt.destination.plan(target);
    const error = firstError(plan.findings);
    if (error !== null) return { kind: 'unfit', error };
    await attempt.session.prepare(target);
    return { kind: 'fits', plan: plan.exists ? plan : await attempt.destination.plan(target) };
  } catch (error) {
    await attempt.session.rollback();
    const failure = asForebayError(error);
    if (!concernsOneStream(failure)) throw failure;
    return { kind: 'unfit', error: failure };
  }
}
