/** Runs whole processes and tells their wall time; for ours also processor seconds and peak memory. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PROJECT = new URL('..', import.meta.url).pathname;

export interface Measured {
  readonly seconds: number;
  /** User and system time; null for processes that are not ours. */
  readonly cpuSeconds: number | null;
  readonly rssMiB: number | null;
}

export interface Command {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Resolves when the process ends with 0; its error text is in the failure. */
export function run({
  command,
  args,
  env,
}: Command): Promise<{ readonly seconds: number; readonly stdout: string }> {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const child = spawn(command, args, {
      cwd: PROJECT,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const out: Buffer[] = [];
    let errors = '';
    child.stdout.on('data', (bytes: Buffer) => out.push(bytes));
    child.stderr.on('data', (bytes: Buffer) => {
      errors = (errors + bytes.toString()).slice(-4000);
    });
    child.once('error', reject);
    child.once('close', (code) => {
      const seconds = (performance.now() - start) / 1000;
      if (code === 0) resolve({ seconds, stdout: Buffer.concat(out).toString() });
      else reject(new Error(`${command} ${args.join(' ')} ended with ${code}: ${errors}`));
    });
  });
}

/** A Node program of this project, with what it used. */
export async function runNode(
  script: string,
  args: readonly string[],
): Promise<Measured & { readonly stdout: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'forebay-bench-'));
  const usage = join(folder, 'usage.json');
  try {
    const { seconds, stdout } = await run({
      command: process.execPath,
      args: ['--import', join(PROJECT, 'bench/usage.ts'), join(PROJECT, script), ...args],
      env: { FOREBAY_BENCH_USAGE: usage },
    });
    const used = JSON.parse(readFileSync(usage, 'utf8')) as { cpuSeconds: number; rssMiB: number };
    return { seconds, cpuSeconds: used.cpuSeconds, rssMiB: used.rssMiB, stdout };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The command as it is published: compiled. */
export function forebay(
  ...args: readonly string[]
): Promise<Measured & { readonly stdout: string }> {
  return runNode('dist/cli/main.js', args);
}

export function build(): Promise<unknown> {
  return run({ command: process.execPath, args: [join(PROJECT, 'tools/build.ts')] });
}

export async function time(work: () => Promise<unknown>): Promise<Measured> {
  const start = performance.now();
  await work();
  return { seconds: (performance.now() - start) / 1000, cpuSeconds: null, rssMiB: null };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const high = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? high : (high + (sorted[middle - 1] ?? high)) / 2;
}
