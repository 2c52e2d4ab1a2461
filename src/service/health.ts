/** What `/health` answers. Pure. */
import type { EventCounts } from './event-counts.ts';
import type { LastError, StreamCondition, StreamFacts } from './stream-state.ts';

export interface ConfigurationHealth {
  readonly loadedAt: string;
  readonly hash: string;
  /** Why the last edit was not taken; null when the file in use is the file that is there. */
  readonly error: string | null;
}

export interface StreamHealth {
  readonly id: string;
  readonly name: string;
  readonly facts: StreamFacts | null;
  readonly counts: EventCounts;
}

export interface HealthDocument {
  readonly status: 'ok' | 'degraded' | 'failed';
  readonly configuration: {
    readonly loaded_at: string;
    readonly hash: string;
    readonly error: string | null;
  };
  readonly streams: readonly {
    readonly id: string;
    readonly name: string;
    readonly state: StreamCondition;
    readonly lag_ms: number | null;
    readonly lag_bytes: number | null;
    readonly position: string | null;
    readonly last_error: LastError | null;
    readonly next_retry_at: string | null;
    readonly events: Readonly<Record<string, number>>;
  }[];
}

const TROUBLED: readonly StreamCondition[] = ['retrying', 'paused', 'failed'];

/** Failed when no stream that should run does; degraded when some are in trouble or an edit was refused. */
function statusOf(
  conditions: readonly StreamCondition[],
  configuration: ConfigurationHealth,
): HealthDocument['status'] {
  const wanted = conditions.filter((condition) => condition !== 'disabled');
  if (wanted.length > 0 && wanted.every((condition) => condition === 'failed')) return 'failed';
  const troubled = wanted.some((condition) => TROUBLED.includes(condition));
  return troubled || configuration.error !== null ? 'degraded' : 'ok';
}

export function healthDocument(
  configuration: ConfigurationHealth,
  streams: readonly StreamHealth[],
): HealthDocument {
  const conditions = streams.map(({ facts }) => facts?.condition ?? 'disabled');
  return {
    status: statusOf(conditions, configuration),
    configuration: {
      loaded_at: configuration.loadedAt,
      hash: configuration.hash,
      error: configuration.error,
    },
    streams: streams.map(({ id, name, facts, counts }) => ({
      id,
      name,
      state: facts?.condition ?? 'disabled',
      lag_ms: facts?.lagMs ?? null,
      lag_bytes: facts?.lagBytes ?? null,
      position: facts?.position ?? null,
      last_error: facts?.lastError ?? null,
      next_retry_at: facts?.nextRetryAt ?? null,
      events: {
        received: counts.received,
        transforming: counts.transforming,
        writing: counts.writing,
        completed: counts.completed,
        failed: counts.failed,
        retrying: counts.retrying,
        filtered: counts.filtered,
        dead_lettered: counts.deadLettered,
      },
    })),
  };
}
