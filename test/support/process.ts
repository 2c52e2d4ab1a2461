// Runs the command as a user would: a process of its own, from the sources.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';

import { z } from 'zod';

import { runDirVariable } from './server-binaries.ts';

const main = join(import.meta.dirname, '..', '..', 'src', 'cli', 'main.ts');

const event = z.looseObject({
  v: z.literal(1),
  event: z.string(),
  at: z.string(),
  pipeline: z.string().nullish(),
  stream: z.string().nullish(),
});
const count = z.number();
const result = z.looseObject({
  v: z.literal(1),
  pipeline: z.string(),
  status: z.enum(['completed', 'stopped', 'failed']),
  streams: z.array(
    z.looseObject({
      stream: z.string(),
      phase: z.string(),
      read: count,
      applied: count,
      folded: count,
      filtered: count,
      deadLettered: count,
      bytes: count,
      paused: z.unknown(),
    }),
  ),
  error: z.looseObject({ code: z.string(), class: z.string(), message: z.string() }).nullable(),
});

/** One line of progress on stderr with --json. */
export type ForebayEvent = z.infer<typeof event>;
/** What copy, replicate and run print as the last line of stdout with --json. */
export type ForebayResult = z.infer<typeof result>;

export interface ForebayExit {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly events: readonly ForebayEvent[];
  /** The last line of stdout as JSON, null when it is none. */
  readonly json: unknown;
  /** The same when it has the shape of a run's result, else null. */
  readonly result: ForebayResult | null;
  readonly durationMs: number;
}

export interface ForebayOptions {
  /** Added to this process's environment; undefined takes a variable away. */
  readonly env?: Record<string, string | undefined>;
  readonly cwd?: string;
  readonly stdin?: string;
  /** Kills the process, as does the time limit. */
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
  /** For node itself, before the program: ['--max-old-space-size=64']. */
  readonly nodeArgs?: readonly string[];
}

export interface ForebayProcess extends AsyncDisposable {
  readonly pid: number;
  readonly events: readonly ForebayEvent[];
  readonly exit: Promise<ForebayExit>;
  stdout(): string;
  stderr(): string;
  kill(signal?: NodeJS.Signals): void;
  /** The first event, past or to come, that the predicate takes; rejects when the process ends without it. */
  waitForEvent(
    predicate: (event: ForebayEvent) => boolean,
    options?: { timeoutMs?: number },
  ): Promise<ForebayEvent>;
}

let stateDir: string | null = null;

/** Keeps runs away from the developer's own state; all runs of one test file share it, so that they resume. */
function isolatedDataDir(): string {
  stateDir ??= mkdtempSync(join(process.env[runDirVariable] ?? tmpdir(), 'fb-state-'));
  return stateDir;
}

/** Runs to the end. A non-zero exit is a value, not an error. */
export async function runForebay(
  args: readonly string[],
  options: ForebayOptions = {},
): Promise<ForebayExit> {
  await using running = startForebay(args, options);
  return await running.exit;
}

export function startForebay(
  args: readonly string[],
  options: ForebayOptions = {},
): ForebayProcess {
  const startedAt = performance.now();
  const child = spawn(process.execPath, [...(options.nodeArgs ?? []), main, ...args], {
    cwd: options.cwd,
    env: { ...process.env, NO_COLOR: '1', FOREBAY_DATA_DIR: isolatedDataDir(), ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: options.timeoutMs ?? 110_000,
    killSignal: 'SIGKILL',
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  const killAtExit = () => child.kill('SIGKILL');
  process.once('exit', killAtExit);
  // A program that ends before it read its input is no failure of the test.
  child.stdin.on('error', () => {});
  child.stdin.end(options.stdin ?? '');

  let stdout = '';
  let stderr = '';
  const events: ForebayEvent[] = [];
  const arrivals = new EventTarget();
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  createInterface({ input: child.stderr }).on('line', (line) => {
    const parsed = event.safeParse(parseJson(line));
    if (!parsed.success) return;
    events.push(parsed.data);
    arrivals.dispatchEvent(new Event('arrival'));
  });

  const exit = ended(child).then(([code, signal]): ForebayExit => {
    process.removeListener('exit', killAtExit);
    arrivals.dispatchEvent(new Event('arrival'));
    const json = parseJson(stdout.trimEnd().split('\n').at(-1) ?? '');
    const durationMs = performance.now() - startedAt;
    const asResult = result.safeParse(json).data ?? null;
    return { code, signal, stdout, stderr, events, json, result: asResult, durationMs };
  });
  return {
    pid: child.pid ?? -1,
    events,
    exit,
    stdout: () => stdout,
    stderr: () => stderr,
    kill: (signal = 'SIGTERM') => void child.kill(signal),
    waitForEvent: (predicate, { timeoutMs = 60_000 } = {}) =>
      firstEvent({ child, events, arrivals, stderr: () => stderr }, predicate, timeoutMs),
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await exit;
    },
  };
}

interface Listening {
  readonly child: ChildProcess;
  readonly events: readonly ForebayEvent[];
  readonly arrivals: EventTarget;
  stderr(): string;
}

async function firstEvent(
  { child, events, arrivals, stderr }: Listening,
  predicate: (event: ForebayEvent) => boolean,
  timeoutMs: number,
): Promise<ForebayEvent> {
  const timeUp = AbortSignal.timeout(timeoutMs);
  for (;;) {
    const found = events.find(predicate);
    if (found !== undefined) return found;
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`forebay ended without the event:\n${stderr()}`);
    }
    try {
      await once(arrivals, 'arrival', { signal: timeUp });
    } catch (error) {
      throw new Error(`no such event in ${timeoutMs} ms:\n${stderr()}`, { cause: error });
    }
  }
}

/** 'close' comes after the last byte of both streams; an aborted spawn reports 'error' as well. */
async function ended(child: ChildProcess): Promise<[number | null, NodeJS.Signals | null]> {
  child.on('error', () => {});
  await new Promise((resolve) => child.once('close', resolve));
  return [child.exitCode, child.signalCode];
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
