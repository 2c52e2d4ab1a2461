import process from 'node:process';
import type { Terminal } from '../terminal.ts';
import { eventLine } from './event-lines.ts';
import { drawPicture } from './picture.ts';
import { applyEvent, INITIAL_STATE } from './run-state.ts';
import type { RunView, ViewHeader } from './run-view.ts';

const REPAINT_MS = 100;
const HIDE_CURSOR = '\u001B[?25l';
const SHOW_CURSOR = '\u001B[?25h';
const ERASE_BELOW = '\u001B[J';

export interface LiveViewOptions {
  /** A line of the command's own under the picture, asked at each repaint. */
  readonly footnote?: () => string | null;
  /** Keeps the last picture on the screen. */
  readonly keep?: boolean;
}

/** Repaints the picture in place; lines that are told once move up and away above it. */
export function liveView(
  terminal: Terminal,
  header: ViewHeader,
  { footnote = () => null, keep = true }: LiveViewOptions = {},
): RunView {
  const startedAt = performance.now();
  let state = INITIAL_STATE;
  let painted = 0;
  let told: string[] = [];

  const paint = (): void => {
    const lines = drawPicture({
      header,
      state,
      elapsedMs: performance.now() - startedAt,
      nowMs: Date.now(),
      size: terminal.size(),
      style: terminal.errStyle,
      footnote: footnote(),
    });
    const up = painted > 0 ? `\u001B[${painted}A` : '';
    terminal.err(`${up}\r${ERASE_BELOW}${[...told, ...lines].join('\n')}\n`);
    told = [];
    painted = lines.length;
  };
  const showCursor = (): void => terminal.err(SHOW_CURSOR);

  process.once('exit', showCursor);
  terminal.err(HIDE_CURSOR);
  paint();
  const timer = setInterval(paint, REPAINT_MS);
  return {
    observe: (event) => {
      state = applyEvent(state, event);
      const line = eventLine(event, terminal.errStyle);
      if (line !== null) told.push(line);
    },
    note: (text) => told.push(text),
    end: () => {
      clearInterval(timer);
      paint();
      if (!keep) terminal.err(`\u001B[${painted}A\r${ERASE_BELOW}`);
      process.off('exit', showCursor);
      showCursor();
    },
  };
}
