/** The picture of a run on a terminal, as lines; pure. */
import type { Progress } from '../../engine/pipeline.ts';
import { formatBytes, formatCount, formatDuration } from '../format.ts';
import { renderTable, type TableColumn, visibleWidth } from '../table.ts';
import type { Style } from '../terminal.ts';
import { rateAt, type RunState, type StreamView, totalOf } from './run-state.ts';
import type { ViewHeader } from './run-view.ts';

export interface PictureInput {
  readonly header: ViewHeader;
  readonly state: RunState;
  readonly elapsedMs: number;
  readonly nowMs: number;
  readonly size: { readonly columns: number; readonly rows: number };
  readonly style: Style;
  /** A line of the command's own under the table. */
  readonly footnote: string | null;
}

const BAR_WIDTH = 12;
const BLOCKS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'] as const;
/** Lines beside the table: header, blanks, titles, total, footnote and one for the cursor. */
const FRAME_ROWS = 9;

export function drawBar(fraction: number, width: number): string {
  const eighths = Math.round(Math.min(1, Math.max(0, fraction)) * width * 8);
  const full = '█'.repeat(Math.floor(eighths / 8)) + (BLOCKS[eighths % 8] ?? '');
  return full.padEnd(width, '░');
}

/** Cuts a painted line to a width; escape sequences take no room. */
export function clip(line: string, columns: number): string {
  if (visibleWidth(line) <= columns) return line;
  let room = columns - 1;
  let result = '';
  // oxlint-disable-next-line no-control-regex -- escape sequences begin with one
  for (const part of line.split(/(\u001B\[[0-9;]*m)/)) {
    if (part.startsWith('\u001B[')) result += part;
    else {
      const letters = Array.from(part).slice(0, Math.max(0, room));
      room -= letters.length;
      result += letters.join('') + (room === 0 ? '…' : '');
      if (room === 0) room = -1;
    }
  }
  return result;
}

function phaseCell(view: StreamView, style: Style): string {
  if (view.pausedCode !== null) return style.yellow(`paused ${view.pausedCode}`);
  const { phase, progress } = view;
  if (phase === 'snapshot' && progress?.totalRows != null) {
    const fraction = progress.totalRows === 0 ? 1 : progress.rows / progress.totalRows;
    const percent = `${Math.min(100, Math.floor(fraction * 100))}%`.padStart(4);
    return `${style.cyan(drawBar(fraction, BAR_WIDTH))}${percent}`;
  }
  // As wide as the bar, so that the columns stay where they are.
  const words = (phase === 'changes' ? 'following' : phase).padEnd(BAR_WIDTH + 4);
  return phase === 'changes' ? style.green(words) : words;
}

function rate(value: number, print: (value: number) => string): string {
  return value < 0.5 ? '–' : print(value);
}

function delayCell({ phase, progress }: StreamView): string {
  if (progress === null) return '–';
  if (phase === 'snapshot')
    return progress.etaMs === null ? '–' : `eta ${formatDuration(progress.etaMs)}`;
  return progress.lagMs === null ? '–' : `lag ${formatDuration(progress.lagMs)}`;
}

function streamColumns({ style, nowMs }: PictureInput): readonly TableColumn<StreamView>[] {
  return [
    { title: 'stream', cell: ({ stream }) => style.bold(stream) },
    { title: 'phase', cell: (view) => phaseCell(view, style) },
    {
      title: 'snapshot',
      align: 'right',
      cell: ({ snapshotRows }) => (snapshotRows === 0 ? '–' : formatCount(snapshotRows)),
    },
    {
      title: 'changes',
      align: 'right',
      cell: ({ phase, progress }) =>
        phase === 'changes' && progress !== null ? formatCount(progress.rows) : '–',
    },
    {
      title: 'rows/s',
      align: 'right',
      cell: (view) => rate(rateAt(view, nowMs).rowsPerSecond, formatCount),
    },
    {
      title: 'bytes/s',
      align: 'right',
      cell: (view) => rate(rateAt(view, nowMs).bytesPerSecond, formatBytes),
    },
    { title: '', align: 'right', cell: delayCell },
  ];
}

function isActive(view: StreamView, nowMs: number): boolean {
  return view.pausedCode !== null || rateAt(view, nowMs).rowsPerSecond > 0;
}

/** Those that move or are paused come first when not all fit. */
function fitting(views: readonly StreamView[], room: number, nowMs: number): readonly StreamView[] {
  if (views.length <= room) return views;
  const shown = new Set(
    views
      .toSorted((a, b) => Number(isActive(b, nowMs)) - Number(isActive(a, nowMs)))
      .slice(0, room),
  );
  return views.filter((view) => shown.has(view));
}

export function progressFacts(total: Progress): string[] {
  const facts = [
    `${formatCount(total.rows)} ${total.phase === 'changes' ? 'changes' : 'rows'}`,
    `${formatCount(total.rowsPerSecond)} rows/s`,
    `${formatBytes(total.bytesPerSecond)}/s`,
  ];
  if (total.etaMs !== null && total.phase === 'snapshot') {
    facts.push(`eta ${formatDuration(total.etaMs)}`);
  }
  if (total.lagMs !== null) {
    const bytes = total.lagBytes === null ? '' : `, ${formatBytes(total.lagBytes)}`;
    facts.push(`lag ${formatDuration(total.lagMs)}${bytes}`);
  }
  return facts;
}

function totalLine({ state, style, nowMs }: PictureInput): string {
  if (state.retry !== null) {
    const { code, attempt } = state.retry;
    return style.yellow(`connection lost (${code}), trying again, attempt ${attempt}`);
  }
  const total = totalOf(state, nowMs);
  if (total === null)
    return style.dim(state.phase === 'plan' ? 'looking at both systems …' : `${state.phase} …`);
  return progressFacts(total).join(style.dim('  ·  '));
}

export function drawPicture(input: PictureInput): string[] {
  const { header, state, size, style } = input;
  const views = [...state.streams.values()];
  const shown = fitting(views, Math.max(3, size.rows - FRAME_ROWS), input.nowMs);
  const title = `${style.bold(`forebay ${header.mode}`)}  ${header.source} ${style.dim('→')} ${header.destination}`;
  const subtitle = style.dim(`${header.pipeline}  ·  ${formatDuration(input.elapsedMs)}`);
  const lines = [title, subtitle, ''];
  if (shown.length > 0) lines.push(...renderTable(streamColumns(input), shown, style));
  if (shown.length < views.length) lines.push(style.dim(`… ${views.length - shown.length} more`));
  if (shown.length > 0) lines.push('');
  lines.push(totalLine(input));
  if (input.footnote !== null) lines.push(style.dim(input.footnote));
  return lines.map((line) => clip(line, size.columns));
}
