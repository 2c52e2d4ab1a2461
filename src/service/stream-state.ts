/** What the service knows of a stream, and how a run's events change it. Pure. */
import type { ErrorCode } from '../core/errors.ts';
import type { RunEvent, RunResult } from '../engine/pipeline.ts';

export type StreamCondition =
  | 'starting'
  | 'snapshot'
  | 'streaming'
  | 'retrying'
  | 'paused'
  | 'failed'
  | 'stopped'
  | 'disabled';

export interface LastError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly at: string;
}

export interface StreamFacts {
  readonly condition: StreamCondition;
  readonly lagMs: number | null;
  readonly lagBytes: number | null;
  /** When both were measured; null before the first time. */
  readonly lagMeasuredAt: string | null;
  readonly position: string | null;
  readonly lastError: LastError | null;
  readonly nextRetryAt: string | null;
  /** When a checkpoint was last committed. */
  readonly committedAt: string | null;
  /** Tables that are set aside. */
  readonly pausedTables: readonly string[];
  /** Tables that have been heard of. */
  readonly tables: readonly string[];
}

export const NEW_STREAM: StreamFacts = {
  condition: 'starting',
  lagMs: null,
  lagBytes: null,
  lagMeasuredAt: null,
  position: null,
  lastError: null,
  nextRetryAt: null,
  committedAt: null,
  pausedTables: [],
  tables: [],
};

/** A stream that follows changes measures twice a second; after this long it hangs, or is not there. */
const MEASURED_MS = 5000;
const ENDED: readonly StreamCondition[] = ['stopped', 'disabled'];

/** With each moment in which nobody measures, the destination may be that much further behind. */
export function lagMsAt(facts: StreamFacts, nowMs: number): number | null {
  const { condition, lagMs, lagMeasuredAt } = facts;
  if (lagMs === null || lagMeasuredAt === null || ENDED.includes(condition)) return lagMs;
  const elapsedMs = nowMs - Date.parse(lagMeasuredAt);
  return elapsedMs > MEASURED_MS ? lagMs + elapsedMs : lagMs;
}

function withTable(facts: StreamFacts, table: string | null): StreamFacts {
  if (table === null || facts.tables.includes(table)) return facts;
  return { ...facts, tables: [...facts.tables, table] };
}

function working(facts: StreamFacts, phase: string): StreamFacts {
  const condition = phase === 'snapshot' ? 'snapshot' : phase === 'changes' ? 'streaming' : null;
  if (condition === null) return facts;
  const allPaused = facts.tables.length > 0 && facts.pausedTables.length >= facts.tables.length;
  return { ...facts, condition: allPaused ? 'paused' : condition, nextRetryAt: null };
}

/** A run that goes on after its tables were set aside tells so with every progress. */
export function afterEvent(before: StreamFacts, event: RunEvent): StreamFacts {
  const facts = withTable(before, event.stream);
  switch (event.event) {
    case 'started':
      return {
        ...facts,
        // One that tries again has not recovered before it works.
        condition: facts.condition === 'retrying' ? 'retrying' : 'starting',
        nextRetryAt: null,
        pausedTables: [],
        tables: [],
      };
    case 'phase':
      return { ...working(facts, event.phase), position: event.position ?? facts.position };
    case 'progress': {
      const { lagMs, lagBytes } = event;
      return { ...working(facts, event.phase), lagMs, lagBytes, lagMeasuredAt: event.at };
    }
    case 'checkpoint':
      return {
        ...facts,
        position: event.position,
        committedAt: event.at,
        nextRetryAt: null,
        condition: facts.condition === 'retrying' ? 'streaming' : facts.condition,
      };
    case 'stream-paused': {
      const pausedTables = [...new Set([...facts.pausedTables, event.stream ?? ''])];
      const lastError = { code: codeOf(event.code), message: event.reason, at: event.at };
      const condition = pausedTables.length >= facts.tables.length ? 'paused' : facts.condition;
      return { ...facts, pausedTables, lastError, condition };
    }
    case 'retry': {
      const { code, message } = event.error;
      return {
        ...facts,
        lagBytes: null,
        condition: 'retrying',
        lastError: { code, message, at: event.at },
        nextRetryAt: new Date(Date.parse(event.at) + event.delayMs).toISOString(),
      };
    }
    case 'schema-change':
    case 'notice':
    case 'stopped':
      return facts;
  }
}

/** Pauses carry their code as text; only known ones are ever made. */
function codeOf(code: string): ErrorCode {
  return code as ErrorCode;
}

export function afterResult(facts: StreamFacts, result: RunResult, at: string): StreamFacts {
  const { error } = result;
  const lagMs = result.lagMs ?? facts.lagMs;
  const position = result.position.to ?? facts.position;
  const ended = { ...facts, lagMs, position, nextRetryAt: null };
  if (error === null) return { ...ended, condition: 'stopped' };
  const lastError = { code: error.code, message: error.message, at };
  return { ...ended, lagBytes: null, condition: 'failed', lastError };
}
