/** What the views show, as a fold over the events of a run. Pure. */
import type { Progress, RunEvent, RunPhase } from '../../engine/pipeline.ts';
import type { StreamId } from '../../core/stream-schema.ts';

export interface StreamView {
  readonly stream: StreamId;
  readonly phase: RunPhase;
  readonly progress: Progress | null;
  /** Rows that the snapshot brought, kept when the changes begin. */
  readonly snapshotRows: number;
  readonly pausedCode: string | null;
  readonly rate: Rate;
}

/** Of the recent past; the engine's own rates are averages since the phase began. */
export interface Rate {
  readonly rowsPerSecond: number;
  readonly bytesPerSecond: number;
  readonly atMs: number;
}

export interface RetryView {
  readonly code: string;
  readonly message: string;
  readonly attempt: number;
}

export interface RunState {
  readonly phase: RunPhase;
  readonly streams: ReadonlyMap<StreamId, StreamView>;
  /** Of the pipeline as a whole, told while no stream tells anything. */
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

const NO_RATE: Rate = { rowsPerSecond: 0, bytesPerSecond: 0, atMs: 0 };
/** A stream that told nothing for so long does not move. */
const STALE_MS = 2000;
const SMOOTHING = 0.5;

function nextRate(before: StreamView | undefined, progress: Progress, atMs: number): Rate {
  const { rowsPerSecond, bytesPerSecond } = progress;
  const last = before?.progress ?? null;
  if (before === undefined || last === null || last.phase !== progress.phase) {
    return { rowsPerSecond, bytesPerSecond, atMs };
  }
  const seconds = (atMs - before.rate.atMs) / 1000;
  if (seconds <= 0.05) return before.rate;
  const mix = (old: number, moved: number): number =>
    Math.max(0, old * (1 - SMOOTHING) + (moved / seconds) * SMOOTHING);
  return {
    rowsPerSecond: mix(before.rate.rowsPerSecond, progress.rows - last.rows),
    bytesPerSecond: mix(before.rate.bytesPerSecond, progress.bytes - last.bytes),
    atMs,
  };
}

export function rateAt({ rate }: StreamView, nowMs: number): Rate {
  return nowMs - rate.atMs > STALE_MS ? NO_RATE : rate;
}

function withStream(state: RunState, stream: StreamId, change: Partial<StreamView>): RunState {
  const before = state.streams.get(stream) ?? {
    stream,
    phase: state.phase,
    progress: null,
    snapshotRows: 0,
    pausedCode: null,
    rate: NO_RATE,
  };
  return { ...state, streams: new Map(state.streams).set(stream, { ...before, ...change }) };
}

function withProgress(state: RunState, event: RunEvent & { readonly event: 'progress' }): RunState {
  const { stream } = event;
  const moved = event.rowsPerSecond > 0 ? { ...state, retry: null } : state;
  if (stream === null) return { ...moved, phase: event.phase, total: event };
  const rows = event.phase === 'snapshot' ? { snapshotRows: event.rows } : {};
  const rate = nextRate(state.streams.get(stream), event, Date.parse(event.at));
  const summed = { ...moved, total: null };
  return withStream(summed, stream, { phase: event.phase, progress: event, rate, ...rows });
}

/** The streams take part in the pipeline's phase, whether or not they have anything to tell in it. */
function withPhase(state: RunState, phase: RunPhase): RunState {
  const streams = new Map<StreamId, StreamView>();
  for (const [id, view] of state.streams)
    streams.set(id, { ...view, phase, progress: null, rate: NO_RATE });
  return { ...state, phase, total: null, streams };
}

export function applyEvent(state: RunState, event: RunEvent): RunState {
  const { stream } = event;
  switch (event.event) {
    case 'phase':
      return stream === null
        ? withPhase(state, event.phase)
        : withStream(state, stream, { phase: event.phase, progress: null });
    case 'progress':
      return withProgress(state, event);
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
export function totalOf(state: RunState, nowMs: number): Progress | null {
  if (state.total !== null) return state.total;
  const views = [...state.streams.values()].filter(({ progress }) => progress !== null);
  const all = views.flatMap(({ progress }) => progress ?? []);
  if (all.length === 0) return null;
  const rates = views.map((view) => rateAt(view, nowMs));
  const sum = (pick: (progress: Progress) => number): number =>
    all.reduce((total, progress) => total + pick(progress), 0);
  const largest = (pick: (progress: Progress) => number | null): number | null => {
    const known = all.flatMap((progress) => pick(progress) ?? []);
    return known.length === 0 ? null : Math.max(...known);
  };
  // The lag is the pipeline's, told with the events of its streams.
  const newest = views.toSorted((a, b) => b.rate.atMs - a.rate.atMs)[0]?.progress;
  const isKnown = all.every(({ totalRows }) => totalRows !== null);
  return {
    phase: state.phase,
    rows: sum(({ rows }) => rows),
    rowsPerSecond: rates.reduce((total, rate) => total + rate.rowsPerSecond, 0),
    bytes: sum(({ bytes }) => bytes),
    bytesPerSecond: rates.reduce((total, rate) => total + rate.bytesPerSecond, 0),
    totalRows: isKnown ? sum(({ totalRows }) => totalRows ?? 0) : null,
    etaMs: largest(({ etaMs }) => etaMs),
    lagMs: newest?.lagMs ?? null,
    lagBytes: newest?.lagBytes ?? null,
  };
}
