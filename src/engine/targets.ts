/** From what was discovered and asked for to the streams of a pipeline and where each lands. */
import type { CatalogStream, Finding, StreamTarget, TargetPlan } from '../core/connector.ts';
import { ForebayError } from '../core/errors.ts';
import { type StreamId, streamId, type StreamSchema } from '../core/stream-schema.ts';
import type { PipelineSpec } from './pipeline.ts';
import type { RunningStream } from './stream-state.ts';
import { assertNamed, matches } from './selection.ts';

/**
 * `known`: streams that the pipeline has already. What becomes of those is decided one by one, later. `strict`: others
 * that are named must be there and be readable; else they are left out.
 */
export function selectStreams(
  catalog: readonly CatalogStream[],
  selection: readonly string[],
  known: ReadonlySet<StreamId> = new Set(),
  strict = true,
): readonly CatalogStream[] {
  const ids = catalog.map((entry) => streamId(entry.schema.stream));
  const others = selection.filter((glob) => !known.has(glob));
  if (strict) assertNamed(others, ids);
  return catalog.filter((entry, i) => {
    const id = ids[i] ?? '';
    if (!matches(selection, id)) return false;
    if (strict && !entry.readable && others.includes(id)) throw mayNotBeRead([id]);
    return entry.readable;
  });
}

/** Tables that are asked for and may not be read. */
export function unreadable(
  catalog: readonly CatalogStream[],
  selection: readonly string[],
): readonly StreamId[] {
  return catalog
    .filter((entry) => !entry.readable)
    .map((entry) => streamId(entry.schema.stream))
    .filter((id) => matches(selection, id));
}

function mayNotBeRead(ids: readonly StreamId[]): ForebayError {
  const [first] = ids;
  return new ForebayError('privilege_missing', {
    message: `${ids.slice(0, 20).join(', ')} may not be read`,
    fix: 'GRANT SELECT ON ... TO the user of the source URL, and USAGE on the schema.',
    ...(ids.length === 1 && first !== undefined ? { stream: first } : {}),
  });
}

/** Why a pipeline would begin without a single stream. */
export function nothingSelected(
  catalog: readonly CatalogStream[],
  selection: readonly string[],
): ForebayError {
  const hidden = unreadable(catalog, selection);
  if (hidden.length > 0) return mayNotBeRead(hidden);
  return new ForebayError('no_streams', {
    message:
      catalog.length === 0
        ? 'The source has no table'
        : `No table of the source matches --streams ${selection.join(',')}`,
  });
}

/** The rows that this run adds tell that it was this run. */
export function stamped(spec: PipelineSpec, target: StreamTarget): StreamTarget {
  return spec.stamp === undefined ? target : { ...target, stamp: spec.stamp };
}

export function targetFor(spec: PipelineSpec, schema: StreamSchema): StreamTarget {
  return stamped(spec, {
    id: streamId(schema.stream),
    schema,
    table: {
      namespace: spec.targetNamespace ?? schema.stream.namespace,
      name: spec.targetTable ?? schema.stream.name,
    },
    load: spec.load,
    deletes: spec.deletes,
  });
}

/** Rows that were loaded in one way cannot be followed in another: the pipeline goes on as it was begun, or not. */
export function assertAsBegun(spec: PipelineSpec, begun: StreamTarget): void {
  const asked = targetFor(spec, begun.schema);
  const differs = (option: string, was: string, is: string): ForebayError =>
    new ForebayError('pipeline_differs', {
      message: `pipeline ${spec.name} was begun with ${option} ${was}, and is now asked for ${is}`,
      fix: `Give ${option} ${was} as before, or begin another pipeline with another --name.`,
      stream: begun.id,
    });
  if (begun.load !== asked.load) throw differs('--load', begun.load, asked.load);
  if (begun.load !== 'append' && begun.deletes !== asked.deletes)
    throw differs('--deletes', begun.deletes, asked.deletes);
  if (begun.table.namespace !== asked.table.namespace)
    throw differs('--schema', begun.table.namespace, asked.table.namespace);
  if (begun.table.name !== asked.table.name)
    throw differs('the destination table', begun.table.name, asked.table.name);
}

/** Why a stream may not land where it would; null if it may. `taken`: destination tables of other streams. */
function collision(
  target: StreamTarget,
  taken: ReadonlyMap<string, StreamId>,
  sameSystem: boolean,
): ForebayError | null {
  const table = streamId(target.table);
  const other = taken.get(table);
  if (other !== undefined) {
    return new ForebayError('name_collision', {
      message: `${other} and ${target.id} would both land in ${table}`,
      stream: target.id,
    });
  }
  if (!sameSystem || table !== target.id) return null;
  return new ForebayError('same_system', {
    message: `${target.id} would be copied onto itself`,
    stream: target.id,
  });
}

/** No two streams in one table, and none in itself. */
export function assertDistinct(targets: readonly StreamTarget[], sameSystem: boolean): void {
  const taken = new Map<string, StreamId>();
  for (const target of targets) {
    const problem = collision(target, taken, sameSystem);
    if (problem !== null) throw problem;
    taken.set(streamId(target.table), target.id);
  }
}

/**
 * Why a table that has come may not join these streams; null if it may. Its rows would mix with those of another one,
 * or it is itself a table that we write.
 */
export function whyNotJoin(
  target: StreamTarget,
  streams: Iterable<Pick<RunningStream, 'target'>>,
  sameSystem: boolean,
): ForebayError | null {
  const others = [...streams].filter((stream) => stream.target.id !== target.id);
  const taken = new Map(others.map((other) => [streamId(other.target.table), other.target.id]));
  return collision(target, taken, sameSystem);
}

/** A stream's own table under a new name: that stream is let go first. */
export function isHeld(ref: string, streams: Iterable<RunningStream>): boolean {
  return [...streams].some(({ state, target }) => state !== 'paused' && target.schema.ref === ref);
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
