import type { PipelineState } from '../core/checkpoint.ts';
import type {
  ChangeCapability,
  Destination,
  DestinationSession,
  SnapshotCapability,
  Source,
  TargetPlan,
} from '../core/connector.ts';
import { ForebayError } from '../core/errors.ts';
import type { SlabPool } from '../core/slab.ts';
import type { StreamId } from '../core/stream-schema.ts';
import type { PipelineSpec, RepairedStream, RunControl, RunMode } from './pipeline.ts';
import type { RunProgress } from './progress.ts';
import type { RunningStream } from './stream-state.ts';

/** Everything one try of a run works with; made anew after a lost connection. */
export interface Attempt {
  readonly mode: RunMode;
  readonly spec: PipelineSpec;
  readonly control: RunControl;
  readonly progress: RunProgress;
  readonly slabs: SlabPool;
  readonly source: Source;
  readonly destination: Destination;
  readonly session: DestinationSession;
  readonly state: PipelineState;
  /** Streams of the pipeline, paused ones too. */
  readonly streams: Map<StreamId, RunningStream>;
  readonly plans: Map<StreamId, TargetPlan>;
  /** Chunks read and loaded at once. */
  readonly parallel: number;
  /** Aborted when the attempt is over for any reason. */
  readonly signal: AbortSignal;
  /** The run must read the change stream as text. */
  readonly textOnly: boolean;
  readonly sameSystem: boolean;
  readonly notes: AttemptNotes;
}

/** What the run wants to know afterwards. */
export interface AttemptNotes {
  positionFrom: string | null;
  positionTo: string | null;
  /** Set with every step forward, so that the retry counter starts again. */
  advanced: boolean;
  /** Where a run that ends when caught up ends. */
  until: string | null;
  /** Streams that this run paused; others were paused before. */
  readonly paused: Set<StreamId>;
}

/** How one try ended, if it did not fail. */
export type AttemptEnd =
  | { readonly kind: 'completed'; readonly repaired?: readonly RepairedStream[] }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'again'; readonly textOnly: boolean };

export function needChanges(source: Source): ChangeCapability {
  if (source.changes !== undefined) return source.changes;
  throw new ForebayError('capability_missing', {
    message: `${source.family} cannot stream changes`,
    fix: 'Use `forebay copy` for a snapshot.',
  });
}

export function needSnapshot(source: Source): SnapshotCapability {
  if (source.snapshot !== undefined) return source.snapshot;
  throw new ForebayError('capability_missing', {
    message: `${source.family} cannot be read as a snapshot`,
  });
}
