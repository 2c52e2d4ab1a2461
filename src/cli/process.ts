/** The edges of the process: streams, signals that nobody else takes, failures that nobody caught. */
import process from 'node:process';
import { ForebayError } from '../core/errors.ts';
import { runCommandLine } from './command-line.ts';
import { printError } from './failure.ts';
import { openTerminal } from './terminal.ts';

/** A reader that went away (`| head`) is no failure of ours; the run goes on and keeps its exit code. */
function ignoreClosedPipe(stream: NodeJS.WriteStream): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE' || error.code === 'EIO') return;
    throw new ForebayError(error.code === 'ENOSPC' ? 'disk_full' : 'internal', {
      message: 'the result cannot be written to stdout',
      why: error.code ?? error.message,
      cause: error,
    });
  });
}

/** What is told on the way may be lost, for instance with a full disk under a log; no run ends for it. */
function ignoreFailures(stream: NodeJS.WriteStream): void {
  stream.on('error', () => {});
}

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (!stream.writable) resolve();
    else stream.write('', () => resolve());
  });
}

/** Ends the process when the command has: nothing that a driver left open keeps it alive. */
export async function runProcess(argv: readonly string[]): Promise<void> {
  ignoreClosedPipe(process.stdout);
  ignoreFailures(process.stderr);
  const terminal = openTerminal(process);
  const onUncaught = (error: unknown): void => {
    printError(error, terminal);
    process.exit(1);
  };
  process.on('uncaughtException', onUncaught);
  process.on('unhandledRejection', onUncaught);
  const code = await runCommandLine(argv, terminal);
  await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
  process.exit(code);
}
