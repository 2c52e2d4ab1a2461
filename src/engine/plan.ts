/** What a run would do; touches nothing. */
import type { Finding, SnapshotCapability, StreamTarget, TargetPlan } from '../core/connector.ts';
import type { ForebayError } from '../core/errors.ts';
import { SlabPool } from '../core/slab.ts';
import { type StreamId, streamId } from '../core/stream-schema.ts';
import { needChanges, needSnapshot } from './attempt.ts';
import { deliveryOf } from './delivery.ts';
import type {
  PipelinePlan,
  PipelineSpec,
  PipelineSystems,
  PlannedStream,
  RunMode,
} from './pipeline.ts';
import { fromRecord } from './stream-state.ts';
import { contextFor, openSystems, type OpenSystems } from './systems.ts';
import {
  assertAsBegun,
  assertDistinct,
  nothingSelected,
  selectStreams,
  targetFor,
  unreadable,
  whyNotJoin,
} from './targets.ts';
import type { PipelineState, StreamState } from '../core/checkpoint.ts';

interface Planning {
  readonly mode: RunMode;
  readonly spec: PipelineSpec;
  readonly systems: OpenSystems;
  readonly state: PipelineState | null;
  readonly sameSystem: boolean;
}

function known(planning: Planning, id: StreamId): StreamState | null {
  const record = planning.state?.streams.find((candidate) => candidate.stream === id);
  return record?.state ?? null;
}

/** The lane that a snapshot takes, and where its rows are transformed. */
function laneOf(
  snapshot: SnapshotCapability,
  plan: TargetPlan,
): Pick<PlannedStream, 'lane' | 'transformation'> {
  const { transform } = plan;
  const relays = (format: string | null): 'relay' | 'bytes' =>
    snapshot.frameFormat !== undefined && format === snapshot.frameFormat ? 'relay' : 'bytes';
  if (transform === undefined) return { lane: relays(plan.frameFormat), transformation: null };
  if (transform.kind === 'rows')
    return { lane: 'objects', transformation: { pushedDown: false, why: transform.why } };
  if (snapshot.projects !== true) {
    const why = 'the source cannot do it';
    return { lane: 'objects', transformation: { pushedDown: false, why } };
  }
  return {
    lane: relays(transform.planned.frameFormat),
    transformation: { pushedDown: true, why: null },
  };
}

function describeStream(
  planning: Planning,
  target: StreamTarget,
  plan: TargetPlan,
  estimatedRows: number | null,
): PlannedStream {
  const { systems, mode } = planning;
  const follows = mode.kind !== 'copy';
  const needsText = systems.destination.transforms === true;
  return {
    stream: target.id,
    target: target.table,
    ...laneOf(needSnapshot(systems.source), plan),
    changeEncoding: follows
      ? ((needsText ? null : needChanges(systems.source).encodings([target.schema])[0]) ?? 'text')
      : null,
    key: target.schema.key.map((column) => target.schema.columns[column]?.name ?? ''),
    load: target.load,
    deletes: target.deletes,
    delivery: deliveryOf(mode, target, systems.destination.delivery),
    exists: plan.exists,
    estimatedRows,
    columns: target.schema.columns.map((column, i) => ({
      name: column.name,
      sourceType: column.nativeType,
      target: plan.columns.find((candidate) => candidate.name === column.name) ??
        plan.columns[i] ?? { name: column.name, type: '?', encoding: 'text' },
    })),
    state: known(planning, target.id),
  };
}

/** A schema that the pipeline follows already may be older than the source's. */
function rememberedFindings(planning: Planning, targets: readonly StreamTarget[]): Finding[] {
  const here = new Map(targets.map((target) => [target.id, target]));
  return (planning.state?.streams ?? []).map(fromRecord).flatMap((stream): Finding[] => {
    if (stream.pause !== null) {
      const { code, reason, fix } = stream.pause;
      return [
        {
          step: 'paused',
          severity: 'warning',
          message: `${code}: ${reason}`,
          fix,
          stream: stream.target.id,
          error: null,
        },
      ];
    }
    if (here.has(stream.target.id)) return [];
    const message = 'the pipeline has this stream, the source or the selection no longer';
    return [
      {
        step: 'selection',
        severity: 'warning',
        message,
        fix: null,
        stream: stream.target.id,
        error: null,
      },
    ];
  });
}

async function planTargets(planning: Planning): Promise<{
  readonly streams: PlannedStream[];
  readonly findings: Finding[];
  readonly targets: StreamTarget[];
}> {
  const { spec, systems } = planning;
  const recorded = (planning.state?.streams ?? []).map(fromRecord);
  if (planning.mode.kind !== 'copy' && planning.state?.checkpoint != null)
    for (const { target } of recorded) assertAsBegun(spec, target);
  const catalog = await systems.source.discover();
  const begun = new Set(recorded.map(({ target }) => target.id));
  const selected = selectStreams(catalog, spec.selection, begun);
  if (selected.length === 0 && begun.size === 0) throw nothingSelected(catalog, spec.selection);
  const refused = new Map<StreamId, ForebayError>();
  for (const { schema } of planning.state?.checkpoint == null ? [] : selected) {
    const target = targetFor(spec, schema);
    const refusal = whyNotJoin(target, recorded, planning.sameSystem);
    if (refusal !== null && !begun.has(target.id)) refused.set(target.id, refusal);
  }
  const chosen = selected.filter(({ schema }) => !refused.has(streamId(schema.stream)));
  const targets = chosen.map((entry) => targetFor(spec, entry.schema));
  const streams: PlannedStream[] = [];
  const findings = unreadable(catalog, spec.selection).map((id): Finding => ({
    step: 'select_privilege',
    severity: 'warning',
    message: 'may not be read and is left out',
    fix: null,
    stream: id,
    error: null,
  }));
  for (const [stream, { message }] of refused) {
    const step = 'destination_table';
    const told = `is left out: ${message}`;
    findings.push({ step, severity: 'warning', message: told, fix: null, stream, error: null });
  }
  for (const [i, target] of targets.entries()) {
    const plan = await systems.destination.plan(target);
    findings.push(...plan.findings);
    streams.push(describeStream(planning, target, plan, chosen[i]?.estimatedRows ?? null));
  }
  return { streams, findings, targets };
}

export async function planPipeline(
  mode: RunMode,
  spec: PipelineSpec,
  systems: PipelineSystems,
  signal: AbortSignal,
): Promise<PipelinePlan> {
  const context = contextFor(systems, {
    slabs: new SlabPool(0),
    memoryBytes: spec.memoryBytes,
    signal,
    notice: () => {},
  });
  await using open = await openSystems(systems, context);
  const state = await open.destination.readState(spec.name);
  const planning: Planning = {
    mode,
    spec,
    systems: open,
    state,
    sameSystem: open.sameSystem,
  };
  const { streams, findings, targets } = await planTargets(planning);
  assertDistinct(targets, open.sameSystem);
  const purpose = mode.kind === 'copy' ? 'snapshot' : 'changes';
  const sourceFindings = await open.source.check(
    targets.map((target) => target.schema),
    purpose,
  );
  const paused = new Set(
    targets
      .filter(
        (target) =>
          purpose === 'changes' && target.schema.identity === 'none' && target.load !== 'append',
      )
      .map((target) => target.id),
  );
  const isNew = state?.checkpoint === undefined || state.checkpoint === null;
  return {
    pipeline: spec.name,
    streams,
    findings: [
      ...sourceFindings,
      ...(await open.destination.check()),
      ...findings,
      ...rememberedFindings(planning, targets),
    ],
    changes: [
      ...streams
        .filter((stream) => !stream.exists && !paused.has(stream.stream))
        .map((stream) => `create table ${streamId(stream.target)}`),
      ...(isNew && mode.kind !== 'copy'
        ? ['create a position (replication slot and publication) in the source']
        : []),
      ...streams
        .filter((stream) => (isNew || stream.state === null) && !paused.has(stream.stream))
        .map((stream) => `load ${stream.stream}`),
    ],
  };
}
