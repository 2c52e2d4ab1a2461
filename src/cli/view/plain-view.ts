import type { RunPhase } from '../../engine/pipeline.ts';
import type { Terminal } from '../terminal.ts';
import { formatCount, formatDuration } from '../format.ts';
import { eventLine } from './event-lines.ts';
import { progressFacts } from './picture.ts';
import { applyEvent, INITIAL_STATE, type RunState, totalOf } from './run-state.ts';
import type { RunView, ViewHeader } from './run-view.ts';

const INTERVAL_MS = 2000;
/** A run in which nothing moves is told less often, so that a log of days stays short. */
const QUIET_INTERVALS = 15;

/** While no stream has told anything. */
const IDLE: Record<RunPhase, string> = {
  plan: 'waiting for the two systems',
  snapshot: 'waiting for rows',
  changes: 'no changes yet',
  compare: 'waiting for rows',
  repair: 'waiting for rows',
};

/** One line of progress; also when nothing has moved, so that nobody thinks it hangs. */
export function plainLine(state: RunState, nowMs: number): string {
  const total = totalOf(state, nowMs);
  const streams = [...state.streams.values()];
  const paused = streams.filter(({ pausedCode }) => pausedCode !== null).length;
  const facts = total === null ? [] : progressFacts(total);
  if (streams.length > 0)
    facts.unshift(streams.length === 1 ? '1 stream' : `${formatCount(streams.length)} streams`);
  if (paused > 0) facts.push(`${formatCount(paused)} paused`);
  if (state.retry !== null) facts.push(`trying again (${state.retry.code})`);
  const text = facts.length === 0 ? IDLE[state.phase] : facts.join(', ');
  return `${state.phase.padEnd(8)}  ${text}`;
}

/** For pipes and logs: a line every two seconds, no cursor movement, no colour. */
export function plainView(terminal: Terminal, header: ViewHeader): RunView {
  const startedAt = performance.now();
  let state = INITIAL_STATE;
  let last = '';
  let quiet = 0;
  const say = (text: string): void => {
    const elapsed = formatDuration(performance.now() - startedAt).padStart(8);
    terminal.err(`${elapsed}  ${text}\n`);
  };
  const tick = (): void => {
    const line = plainLine(state, Date.now());
    quiet = line === last ? quiet + 1 : 0;
    last = line;
    if (quiet % QUIET_INTERVALS === 0) say(line);
  };

  const { mode, pipeline, source, destination } = header;
  terminal.err(`forebay ${mode}  ${source} -> ${destination}  (pipeline ${pipeline})\n`);
  const timer = setInterval(tick, INTERVAL_MS);
  return {
    observe: (event) => {
      const before = state.phase;
      state = applyEvent(state, event);
      const line = eventLine(event, terminal.errStyle);
      if (line !== null) say(line);
      else if (state.phase !== before) say(`${state.phase.padEnd(8)}  begins`);
    },
    note: say,
    end: () => clearInterval(timer),
  };
}
