/** Waits for the end of an execution and tells what happens meanwhile. */
import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import { ERROR_TABLE, type ErrorCode, type ExitCode, ForebayError } from '../../core/errors.ts';
import type { ApiClient } from '../api-client.ts';
import { formatBytes, formatCount, formatDuration } from '../format.ts';
import { printError } from '../failure.ts';
import type { Terminal } from '../terminal.ts';
import { executionById, type ExecutionDetail } from './find.ts';
import { Patience } from './patience.ts';
import { printable } from './printable.ts';

const FIRST_LOOK_MS = 200;
const LOOK_MS = 1000;

const reportSchema = z.object({
  code: z.string(),
  message: z.string(),
  fix: z.string().nullish(),
});

const isCode = (code: string): code is ErrorCode => Object.hasOwn(ERROR_TABLE, code);

/** Why an execution failed; null where it did not. */
export function failureOf({
  status,
  error,
}: Pick<ExecutionDetail, 'status' | 'error'>): ForebayError | null {
  if (status === 'cancelled') {
    return new ForebayError('flow_cancelled', { message: 'the execution was cancelled' });
  }
  if (status !== 'failed') return null;
  const read = reportSchema.safeParse(error);
  if (!read.success) return new ForebayError('internal', { message: 'the execution failed' });
  const { code, message, fix } = read.data;
  const text = isCode(code) ? message : `${code}: ${message}`;
  return new ForebayError(isCode(code) ? code : 'internal', {
    message: text,
    ...(fix == null ? {} : { fix }),
  });
}

export function exitOf(execution: Pick<ExecutionDetail, 'status' | 'error'>): ExitCode {
  const failure = failureOf(execution);
  if (failure === null) return 0;
  // What failed is not done, whatever its code says of other commands.
  return failure.exitCode === 0 ? 1 : failure.exitCode;
}

const plural = (count: number, one: string): string =>
  `${formatCount(count)} ${one}${count === 1 ? '' : 's'}`;

/** A line for each thing that there is to say, in their order; a line that was told is not told again. */
export function progressLines(execution: ExecutionDetail): readonly string[] {
  const { status, layers, started_at: startedAt } = execution;
  const { bronze, silver, gold } = layers;
  const lines = status === 'scheduled' ? ['waits to be started'] : [];
  if (startedAt !== null) lines.push('started');
  const layer = (name: string, at: string, done: string): void => {
    if (at === 'running' || at === 'completed') lines.push(`${name} running`);
    if (at === 'completed') lines.push(`${name} completed: ${done}`);
    if (at === 'failed') lines.push(`${name} failed`);
  };
  layer('bronze', bronze.status, plural(bronze.records ?? 0, 'record'));
  const filtered = silver.records_filtered ?? 0;
  const note = filtered === 0 ? '' : `, ${formatCount(filtered)} filtered`;
  layer('silver', silver.status, `${plural(silver.records ?? 0, 'record')}${note}`);
  layer('gold', gold.status, plural(gold.tables_updated.length, 'table'));
  return lines;
}

export function summaryOf(execution: ExecutionDetail): string {
  const {
    status,
    total_duration_ms: duration,
    records_processed: records,
    size_bytes: bytes,
  } = execution;
  const figures = [
    ...(records === null ? [] : [plural(records, 'record')]),
    ...(bytes === null ? [] : [formatBytes(bytes)]),
    ...(duration === null ? [] : [formatDuration(duration)]),
  ];
  return figures.length === 0 ? status : `${status}: ${figures.join(', ')}`;
}

const ENDED = new Set(['completed', 'failed', 'cancelled']);

interface Watching {
  readonly api: ApiClient;
  readonly terminal: Terminal;
}

/** An interruption ends the waiting, not the execution. */
export async function waitForEnd(
  { api, terminal }: Watching,
  id: string,
): Promise<ExecutionDetail> {
  const { signal } = api;
  const { dim } = terminal.errStyle;
  const say = (line: string): void => terminal.err(`${dim(printable(line))}\n`);
  const told = new Set<string>();
  const patience = new Patience({ signal, say });
  for (let pauseMs = FIRST_LOOK_MS; ; pauseMs = Math.min(LOOK_MS, pauseMs * 2)) {
    const execution = await patience.until(() => executionById(api, id));
    for (const line of progressLines(execution)) {
      if (!told.has(line)) say(line);
      told.add(line);
    }
    if (ENDED.has(execution.status)) return execution;
    await wait(pauseMs, undefined, { signal });
  }
}

/** Says how it ended; the exit code tells the same. */
export function tellEnd(execution: ExecutionDetail, terminal: Terminal): ExitCode {
  const failure = failureOf(execution);
  if (failure !== null) printError(failure, terminal);
  return exitOf(execution);
}
