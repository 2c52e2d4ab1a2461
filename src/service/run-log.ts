/** A run's events as lines of the service's log. */
import type { RunEvent } from '../engine/pipeline.ts';
import type { Log } from './log.ts';

export function logEvent(log: Log, { at: _at, pipeline: _pipeline, ...event }: RunEvent): void {
  const table = event.stream === null ? {} : { table: event.stream };
  switch (event.event) {
    case 'progress':
      log.at('debug', 'stream_progress', {
        ...table,
        phase: event.phase,
        rows: event.rows,
        rowsPerSecond: event.rowsPerSecond,
        lagMs: event.lagMs,
        lagBytes: event.lagBytes,
      });
      return;
    case 'checkpoint':
      log.at('trace', 'stream_checkpoint', { position: event.position });
      return;
    case 'phase':
      log.at('info', 'stream_phase', { phase: event.phase });
      return;
    case 'schema-change':
      log.at('info', 'stream_schema_change', { ...table, change: event.change });
      return;
    case 'stream-paused': {
      const { code, reason, fix } = event;
      log.at('error', 'stream_table_paused', { ...table, code, reason, fix });
      return;
    }
    case 'retry': {
      const { error, attempt, delayMs } = event;
      const { code, message } = error;
      log.at('warn', 'stream_retry', { ...table, attempt, delayMs, code, message });
      return;
    }
    case 'notice':
      log.at('info', 'stream_notice', { ...table, message: event.message });
      return;
    case 'started':
      log.at('debug', 'stream_started', { mode: event.mode });
      return;
    case 'stopped':
      log.at('debug', 'stream_stopped', { status: event.status });
  }
}
