import { type ForebayError, reportError } from '../core/errors.ts';
import type { RunResult } from './pipeline.ts';

/** Of a run that ended before there was anything to count. */
export function failedRun(pipeline: string, error: ForebayError, durationMs: number): RunResult {
  return {
    pipeline,
    status: 'failed',
    durationMs,
    streams: [],
    position: { from: null, to: null },
    lagMs: null,
    error: reportError(error),
    begun: false,
    repaired: null,
  };
}
