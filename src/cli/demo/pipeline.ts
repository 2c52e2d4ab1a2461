/** The demo's pipeline, through the same engine and connectors as any other. */
import { setTimeout as delay } from 'node:timers/promises';
import { resolveSystem } from '../../connectors/registry.ts';
import type { PgConnection } from '../../connectors/postgres/connection.ts';
import type { RunResult } from '../../engine/pipeline.ts';
import { runPipeline } from '../../engine/run.ts';
import { type PipelineCall, specifyPipeline } from '../pipeline-call.ts';
import type { RunView } from '../view/run-view.ts';

const CAUGHT_UP_LIMIT_MS = 60_000;
const POLL_MS = 50;

export async function demoPipeline(
  sourceUrl: string,
  destinationUrl: string,
): Promise<PipelineCall> {
  const [source, destination] = await Promise.all([
    resolveSystem(sourceUrl),
    resolveSystem(destinationUrl),
  ]);
  return specifyPipeline({ name: 'demo' }, { source, destination });
}

/**
 * Waits until the source itself says that everything committed so far was acknowledged, which happens only
 * after the destination has committed it. False if that took too long or the signal came.
 */
export async function waitUntilCaughtUp(
  source: PgConnection,
  signal: AbortSignal,
): Promise<boolean> {
  const { rows } = await source.query('select pg_current_wal_insert_lsn()::text');
  const target = rows[0]?.[0] ?? '0/0';
  const deadline = performance.now() + CAUGHT_UP_LIMIT_MS;
  while (performance.now() < deadline && !signal.aborted) {
    const answer = await source.query(
      `select coalesce(bool_and(confirmed_flush_lsn >= $1::pg_lsn), false)
       from pg_replication_slots where slot_type = 'logical' and not temporary`,
      [target],
    );
    if (answer.rows[0]?.[0] === 't') return true;
    await delay(POLL_MS);
  }
  return false;
}

export interface RunningDemo {
  readonly result: Promise<RunResult>;
  /** Ends the run in order. */
  readonly stop: () => void;
  /** Aborts when the run has ended, by itself or because it was stopped. */
  readonly ended: AbortSignal;
}

export function startReplication(pipeline: PipelineCall, view: RunView): RunningDemo {
  const drain = new AbortController();
  const ended = new AbortController();
  const result = runPipeline(
    { kind: 'replicate', untilCaughtUp: false },
    pipeline.spec,
    pipeline.systems,
    { drain: drain.signal, observe: view.observe },
  ).finally(() => ended.abort());
  // Awaited after the writer has ended; a failure before that must not count as unhandled.
  result.catch(() => {});
  return { result, stop: () => drain.abort(), ended: ended.signal };
}
