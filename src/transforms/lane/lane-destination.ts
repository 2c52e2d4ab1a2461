/**
 * A destination whose rows are transformed on the way. The engine goes on seeing the source's columns; the
 * destination sees those of the transformed rows.
 */
import type { PipelineState } from '../../core/checkpoint.ts';
import type {
  Destination,
  DestinationSession,
  Finding,
  Leftover,
  PastCheckpoint,
  SessionOptions,
  StreamTarget,
  TargetColumn,
  TargetPlan,
} from '../../core/connector.ts';
import type { DeadLetterStore } from '../../core/dead-letter.ts';
import { asForebayError } from '../../core/errors.ts';
import { LaneLetters } from './lane-letters.ts';
import { assertTransformable, LaneSession } from './lane-session.ts';
import { plannedProjection } from './lane-projection.ts';
import type { LaneStream } from './lane-stream.ts';
import { LaneStreams } from './lane-streams.ts';
import type { LaneOptions } from './options.ts';

class LaneDestination implements Destination {
  readonly transforms = true;
  readonly family: string;
  readonly delivery: Destination['delivery'];
  readonly parallelLoads: number;
  readonly deadLetters: DeadLetterStore;
  readonly history?: NonNullable<Destination['history']>;
  readonly #inner: Destination;
  readonly #options: LaneOptions;
  #streams: LaneStreams;

  constructor(inner: Destination, options: LaneOptions) {
    this.#inner = inner;
    this.#options = options;
    this.#streams = new LaneStreams(options);
    this.family = inner.family;
    this.delivery = inner.delivery;
    this.parallelLoads = inner.parallelLoads;
    if (inner.history !== undefined) this.history = (pipeline) => readHistory(inner, pipeline);
    this.deadLetters = new LaneLetters(inner, options);
  }

  check(): Promise<Finding[]> {
    return this.#inner.check();
  }

  async plan(target: StreamTarget): Promise<TargetPlan> {
    let stream: LaneStream;
    try {
      stream = await this.#streams.streamFor(target);
    } catch (error) {
      return refusedPlan(target, error);
    }
    const lane = stream.target;
    const plan = await this.#inner.plan(lane);
    const made = stream.projection(target);
    return {
      ...plan,
      transform:
        made.kind === 'rows'
          ? made
          : { kind: 'projection', planned: plannedProjection(made.projection, plan) },
      frameFormat: null,
      columns: target.schema.columns.map(({ name }, index) => planned(plan, lane, { name, index })),
      findings: [...plan.findings, columnsFinding(target, lane)],
    };
  }

  async readState(pipeline: string): Promise<PipelineState | null> {
    const state = await this.#inner.readState(pipeline);
    // Asked by whoever plans, before any session.
    if (this.#streams.known().length === 0) this.#streams.remember(state);
    return state;
  }

  pipelines(): Promise<readonly string[]> {
    return this.#inner.pipelines();
  }

  async openSession(pipeline: string, options?: SessionOptions): Promise<DestinationSession> {
    const inner = await this.#inner.openSession(pipeline, options);
    try {
      assertTransformable(inner, this.family);
      const own = sessionOptions(this.#options, options);
      const streams = new LaneStreams(own);
      streams.remember(inner.state);
      this.#streams = streams;
      return new LaneSession(inner, {
        streams,
        options: own,
        plan: (target) => this.#inner.plan(target),
      });
    } catch (error) {
      await inner[Symbol.asyncDispose]();
      throw error;
    }
  }

  leftovers(pipeline: string): Promise<readonly Leftover[]> {
    return this.#inner.leftovers(pipeline);
  }

  drop(pipeline: string): Promise<void> {
    return this.#inner.drop(pipeline);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inner[Symbol.asyncDispose]();
  }
}

/** Whoever recovers agrees to what has paused the stream. */
function sessionOptions(options: LaneOptions, session: SessionOptions | undefined): LaneOptions {
  const agrees = session?.acceptDamaged === true && options.schemaChanges === 'pause';
  return agrees ? { ...options, schemaChanges: 'evolve' } : options;
}

/** Where a source's column lands, in the encoding that all of them must come in. */
function planned(
  plan: TargetPlan,
  lane: StreamTarget,
  column: { readonly name: string; readonly index: number },
): TargetColumn {
  const at = lane.schema.columns.findIndex(({ name }) => name === column.name);
  const type =
    plan.columns.find(({ name }) => name === column.name)?.type ?? plan.columns[at]?.type;
  return { name: column.name, type: type ?? 'transformed', encoding: 'text' };
}

function columnsFinding(target: StreamTarget, lane: StreamTarget): Finding {
  const names = lane.schema.columns.map(({ name }) => name);
  return {
    step: 'transformation',
    severity: 'info',
    message: `transformed rows have the columns ${names.join(', ')}, and those that come with the documents`,
    fix: null,
    stream: target.id,
    error: null,
  };
}

function refusedPlan(target: StreamTarget, error: unknown): TargetPlan {
  const failure = asForebayError(error);
  if (failure.class !== 'schema') throw failure;
  const finding: Finding = {
    step: 'transformation',
    severity: 'error',
    message: failure.message,
    fix: failure.fix,
    stream: target.id,
    error: failure,
  };
  return { exists: true, empty: false, columns: [], frameFormat: null, findings: [finding] };
}

async function readHistory(
  inner: Destination,
  pipeline: string,
): Promise<readonly PastCheckpoint[]> {
  return (await inner.history?.(pipeline)) ?? [];
}

export function transformDestination(inner: Destination, options: LaneOptions): Destination {
  return new LaneDestination(inner, options);
}
