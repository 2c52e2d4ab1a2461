/** What the views show, as a fold over the events of a run. */
import type { Progress, RunEvent, RunPhase } from '../../engine/pipeline.ts';
import type { StreamId } from '../../core/stream-schema.ts';

export interface StreamView {
  readonly stream: StreamId;
  readonly phase: RunPhase;
  readonly progress: Progress | null;
  /** Rows that the snapshot brought, kept when the changes begin. */
  readonly snapshotRows: number;
  readonly pausedCode: string | null;
}

export interface RetryView {
  readonly code: string;
  readonly message: string;
  readonly attempt: number;
}

export interface RunState {
  readonly phase: RunPhase;
  readonly streams: ReadonlyMap<StreamId, StreamView>;
  /** Of the pipeline as a whole, if the engine tells. */
  readonly total: Progress | null;
  readonly position: string | null;
  readonly checkpoints: number;
  /** The failure under way; null once something has moved again. */
  readonly retry: RetryView | null;
}

export const INITIAL_STATE: RunState = {
  phase: 'plan',
  streams: new Map(),
  total: null,
  position: null,
  checkpoints: 0,
  retry: null,
};

function withStream(state: RunState, stream: StreamId, change: Partial<StreamView>): RunState {
  const before = state.streams.get(stream) ?? {
    stream,
    phase: state.phase,
    progress: null,
    snapshotRows: 0,
    pausedCode: null,
  };
  return { ...state, streams: new Map(state.streams).set(stream, { ...before, ...change }) };
}

function withProgress(state: RunState, stream: StreamId | null, progress: Progress): RunState {
  const moved = progress.rowsPerSecond > 0 ? { ...state, retry: null } : state;
  if (stream === null) return { ...moved, phase: progress.phase, total: progress };
  const rows = progress.phase === 'snapshot' ? { snapshotRows: progress.rows } : {};
  return withStream(moved, stream, { phase: progress.phase, progress, ...rows });
}

export function applyEvent(state: RunState, event: RunEvent): RunState {
  const { stream } = event;
  switch (event.event) {
    case 'phase':
      return stream === null
        ? { ...state, phase: event.phase, total: null }
        : withStream(state, stream, { phase: event.phase, progress: null });
    case 'progress':
      return withProgress(state, stream, event);
    case 'checkpoint':
      return {
        ...state,
        position: event.position,
        checkpoints: state.checkpoints + 1,
        retry: null,
      };
    case 'stream-paused':
      return stream === null ? state : withStream(state, stream, { pausedCode: event.code });
    case 'retry': {
      const { code, message } = event.error;
      return { ...state, retry: { code, message, attempt: event.attempt } };
    }
    case 'started':
    case 'schema-change':
    case 'notice':
    case 'stopped':
      return state;
  }
}

/** Sums over streams where the engine told no total. */
export function totalOf(state: RunState): Progress | null {
  if (state.total !== null) return state.total;
  const all = [...state.streams.values()].flatMap(({ progress }) => progress ?? []);
  if (all.length === 0) return null;
  const sum = (pick: (progress: Progress) => number): number =>
    all.reduce((total, progress) => total + pick(progress), 0);
  const largest = (pick: (progress: Progress) => number | null): number | null => {
    const known = all.flatMap((progress) => pick(progress) ?? []);
    return known.length === 0 ? null : Math.max(...known);
  };
  const isKnown = all.every(({ totalRows }) => totalRows !== null);
  return {
    phase: state.phase,
    rows: sum(({ rows }) => rows),
    rowsPerSecond: sum(({ rowsPerSecond }) => rowsPerSecond),
    bytes: sum(({ bytes }) => bytes),
    bytesPerSecond: sum(({ bytesPerSecond }) => bytesPerSecond),
    totalRows: isKnown ? sum(({ totalRows }) => totalRows ?? 0) : null,
    etaMs: largest(({ etaMs }) => etaMs),
    lagMs: largest(({ lagMs }) => lagMs),
    lagBytes: largest(({ lagBytes }) => lagBytes),
  };
}
