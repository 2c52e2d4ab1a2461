/** What the descriptions of all commands share. */
import type { Command } from 'commander';
import type { ExitCode } from '../core/errors.ts';
import type { RunCommand } from './call.ts';
import type { Terminal } from './terminal.ts';

export interface Session {
  readonly terminal: Terminal;
  code: ExitCode;
}

export function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}

export function act(session: Session, command: Command, load: () => Promise<RunCommand>): Command {
  return command.action(async () => {
    const run = await load();
    const { terminal } = session;
    session.code = await run({ args: command.args, options: command.opts(), terminal });
  });
}

export function listOptions(command: Command): Command {
  return command
    .option('-o, --output <format>', 'table, json or yaml (default: table)')
    .option('--json', 'the same as -o json');
}
