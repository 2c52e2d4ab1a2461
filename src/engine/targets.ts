/** From what was discovered and asked for to the streams of a pipeline and where each lands. */
import type { CatalogStream, Finding, StreamTarget, TargetPlan } from '../core/connector.ts';
import { ForebayError } from '../core/errors.ts';
import { type StreamId, streamId, type StreamSchema } from '../core/stream-schema.ts';
import type { PipelineSpec } from './pipeline.ts';
import { assertNamed, matches } from './selection.ts';

export function selectStreams(
  catalog: readonly CatalogStream[],
  selection: readonly string[],
): readonly CatalogStream[] {
  const ids = catalog.map((entry) => streamId(entry.schema.stream));
  assertNamed(selection, ids);
  return catalog.filter((entry, i) => {
    const id = ids[i] ?? '';
    if (!matches(selection, id)) return false;
    if (!entry.readable && selection.includes(id)) {
      throw new ForebayError('privilege_missing', {
        message: `${id} may not be read`,
        fix: 'Grant SELECT on it; `forebay check` prints the statement.',
        stream: id,
      });
    }
    return entry.readable;
  });
}

export function targetFor(spec: PipelineSpec, schema: StreamSchema): StreamTarget {
  return {
    id: streamId(schema.stream),
    schema,
    table: {
      namespace: spec.targetNamespace ?? schema.stream.namespace,
      name: schema.stream.name,
    },
    load: spec.load,
    deletes: spec.deletes,
  };
}

/** No two streams in one table, and none in itself. */
export function assertDistinct(targets: readonly StreamTarget[], sameSystem: boolean): void {
  const taken = new Map<string, StreamId>();
  for (const target of targets) {
    const table = streamId(target.table);
    const other = taken.get(table);
    if (other !== undefined) {
      throw new ForebayError('name_collision', {
        message: `${other} and ${target.id} would both land in ${table}`,
        stream: target.id,
      });
    }
    taken.set(table, target.id);
    if (sameSystem && table === target.id) {
      throw new ForebayError('same_system', {
        message: `${target.id} would be copied onto itself`,
        stream: target.id,
      });
    }
  }
}

export function firstError(findings: readonly Finding[]): ForebayError | null {
  return findings.find((finding) => finding.error !== null)?.error ?? null;
}

/** Rows without a key cannot be merged into rows that are there. */
export function assertLoadable(target: StreamTarget, plan: TargetPlan): void {
  const problem = firstError(plan.findings);
  if (problem !== null) throw problem;
  if (plan.empty || target.load !== 'upsert' || target.schema.identity === 'key') return;
  throw new ForebayError('destination_incompatible', {
    message: `${streamId(target.table)} holds rows already, and ${target.id} has no key to merge by`,
    fix: 'Empty the table, or load with --load replace or --load append.',
    stream: target.id,
  });
}

/** Rows must come from one snapshot and their later changes exactly once: nothing tells a repeated row apart. */
export function needsExactStart(target: StreamTarget): boolean {
  return target.load !== 'upsert' || target.schema.identity !== 'key';
}
