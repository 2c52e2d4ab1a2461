/** The events that are told as a line of their own, in any view for people. */
import type { RunEvent } from '../../engine/pipeline.ts';
import { formatDuration } from '../format.ts';
import { scrubSecrets } from '../scrub.ts';
import type { Style } from '../terminal.ts';

function text(event: RunEvent, style: Style): string | null {
  const stream = event.stream ?? '';
  switch (event.event) {
    case 'schema-change':
      return `${style.cyan('schema')}  ${stream}  ${event.change}`;
    case 'stream-paused':
      return `${style.yellow('paused')}  ${stream}  ${event.code}: ${event.reason}\n          to do  ${event.fix}`;
    case 'retry':
      return `${style.yellow('retry')}   ${event.error.code}: ${event.error.message} (attempt ${event.attempt}, again in ${formatDuration(event.delayMs)})`;
    case 'notice':
      return `${style.dim('note')}    ${stream === '' ? '' : `${stream}  `}${event.message}`;
    case 'started':
    case 'phase':
    case 'progress':
    case 'checkpoint':
    case 'stopped':
      return null;
  }
}

export function eventLine(event: RunEvent, style: Style): string | null {
  const line = text(event, style);
  return line === null ? null : scrubSecrets(line);
}
