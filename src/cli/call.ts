import type { ExitCode } from '../core/errors.ts';
import type { Terminal } from './terminal.ts';

/** A command as it was called: what commander read, not yet validated. */
export interface CommandCall {
  readonly args: readonly string[];
  readonly options: Readonly<Record<string, unknown>>;
  readonly terminal: Terminal;
}

/** What a module under `commands/` exports. */
export type RunCommand = (call: CommandCall) => Promise<ExitCode>;
