import type { ExitCode } from '../core/errors.ts';
import { ERROR_TABLE, type ForebayError } from '../core/errors.ts';
import { failedRun } from '../engine/failed-run.ts';
import type { RunResult, StreamResult } from '../engine/pipeline.ts';
import { printReport, safeReport, scrubReport } from './failure.ts';
import { formatBytes, formatCount, formatDuration } from './format.ts';
import { scrubSecrets } from './scrub.ts';
import { renderTable, type TableColumn } from './table.ts';
import type { Terminal } from './terminal.ts';

/** The documented result object, in the documented order of keys. */
export function resultDocument(result: RunResult): Readonly<Record<string, unknown>> {
  const streams = result.streams.map(
    ({ stream, phase, read, applied, folded, filtered, deadLettered, bytes, paused }) => {
      const pause =
        paused === null ? null : { code: paused.code, reason: paused.reason, fix: paused.fix };
      return { stream, phase, read, applied, folded, filtered, deadLettered, bytes, paused: pause };
    },
  );
  return {
    v: 1,
    pipeline: result.pipeline,
    status: result.status,
    durationMs: Math.round(result.durationMs),
    streams,
    position: { from: result.position.from, to: result.position.to },
    lagMs: result.lagMs,
    error: result.error === null ? null : scrubReport(result.error),
    ...(result.repaired === null ? {} : { repaired: result.repaired }),
  };
}

/** Of a run that ended before there was anything to count. */
export function failedResult(pipeline: string, error: ForebayError, durationMs: number): RunResult {
  return {
    ...failedRun(pipeline, error, durationMs),
    status: error.code === 'interrupted' ? 'stopped' : 'failed',
    error: safeReport(error),
  };
}

/** What the process ends with: a failure first, then a run that was stopped, then what is left to do. */
export function resultExitCode(result: RunResult): ExitCode {
  if (result.status === 'stopped' && !result.begun) return 130;
  if (result.error !== null) return ERROR_TABLE[result.error.code].exit;
  if (result.status === 'failed') return 1;
  if (result.status === 'stopped') return 0;
  const incomplete = result.streams.some(
    (stream) => stream.paused !== null || stream.deadLettered > 0,
  );
  return incomplete ? 5 : 0;
}

function count(
  title: string,
  pick: (stream: StreamResult) => number,
  print: (value: number) => string = formatCount,
): TableColumn<StreamResult> {
  return { title, align: 'right', cell: (stream) => print(pick(stream)) };
}

function columns(terminal: Terminal): readonly TableColumn<StreamResult>[] {
  const { green, yellow } = terminal.outStyle;
  return [
    { title: 'stream', cell: ({ stream }) => stream },
    { title: 'phase', cell: ({ phase }) => phase },
    count('read', ({ read }) => read),
    count('applied', ({ applied }) => applied),
    count('folded', ({ folded }) => folded),
    count('filtered', ({ filtered }) => filtered),
    count('dead letters', ({ deadLettered }) => deadLettered),
    count('bytes', ({ bytes }) => bytes, formatBytes),
    {
      title: 'state',
      cell: ({ paused }) => (paused === null ? green('ok') : yellow(`paused: ${paused.code}`)),
    },
  ];
}

function printRepairs(result: RunResult, terminal: Terminal): void {
  if (result.repaired === null || result.repaired.length === 0) return;
  const number = (
    title: string,
    pick: (row: (typeof result.repaired & object)[number]) => number,
  ) =>
    ({ title, align: 'right', cell: (row) => formatCount(pick(row)) }) satisfies TableColumn<
      (typeof result.repaired & object)[number]
    >;
  const lines = renderTable(
    [
      { title: 'stream', cell: ({ stream }) => stream },
      number('compared', (row) => row.rowsCompared),
      number('inserted', (row) => row.inserted),
      number('updated', (row) => row.updated),
      number('deleted', (row) => row.deleted),
    ],
    result.repaired,
    terminal.outStyle,
  );
  terminal.out(`${lines.join('\n')}\n`);
}

function summary(result: RunResult): string {
  const facts = [`${result.status} after ${formatDuration(result.durationMs)}`];
  if (result.position.to !== null) facts.push(`position ${result.position.to}`);
  if (result.lagMs !== null) facts.push(`lag ${formatDuration(result.lagMs)}`);
  facts.push(`pipeline ${result.pipeline}`);
  return facts.join(', ');
}

/** For people: the table on stdout; what is wrong and what to do about it on stderr. */
export function printResult(result: RunResult, terminal: Terminal): void {
  const nothingMoved = result.streams.every(({ read, paused }) => read === 0 && paused === null);
  const isQuiet = result.error !== null && nothingMoved;
  if (result.streams.length > 0 && !isQuiet) {
    const lines = renderTable(columns(terminal), result.streams, terminal.outStyle);
    terminal.out(`${lines.join('\n')}\n`);
  }
  printRepairs(result, terminal);
  if (!isQuiet) terminal.out(`${summary(result)}\n`);
  for (const { stream, paused } of result.streams) {
    if (paused === null) continue;
    const text = `${terminal.errStyle.yellow('paused')} ${stream} ${paused.code}: ${paused.reason}\n  to do  ${paused.fix}\n`;
    terminal.err(scrubSecrets(text));
  }
  if (result.error !== null) printReport(result.error, terminal);
}
