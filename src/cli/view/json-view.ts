import type { RunEvent } from '../../engine/pipeline.ts';
import { scrubReport } from '../failure.ts';
import { scrubSecrets } from '../scrub.ts';
import type { Terminal } from '../terminal.ts';
import type { RunView } from './run-view.ts';

/** One event as `--json` prints it: documented keys first, then those of the event. */
export function printEvent(event: RunEvent): string {
  const { event: name, at, pipeline, stream, ...rest } = event;
  const safe = 'error' in rest ? { ...rest, error: scrubReport(rest.error) } : rest;
  return scrubSecrets(JSON.stringify({ v: 1, event: name, at, pipeline, stream, ...safe }));
}

export function jsonView(terminal: Terminal): RunView {
  return {
    observe: (event) => terminal.err(`${printEvent(event)}\n`),
    note: () => {},
    end: () => {},
  };
}
