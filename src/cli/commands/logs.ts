import { z } from 'zod';
import { logsSchema } from '../../api/schemas/executions.ts';
import { type ExitCode, ForebayError } from '../../core/errors.ts';
import type { RunCommand } from '../call.ts';
import { withServer } from '../client/connect.ts';
import { findExecution, PATHS } from '../client/find.ts';
import { followLogs, type LogLine } from '../client/follow-logs.ts';
import { clientShape } from '../client/options.ts';
import { printable } from '../client/printable.ts';
import { printDocument } from '../list-output.ts';
import { outputFormat, readOptions } from '../options.ts';
import type { Style, Terminal } from '../terminal.ts';

const shape = { ...clientShape, follow: z.boolean().default(false) };

function paintOf(level: LogLine['level'], style: Style): (text: string) => string {
  if (level === 'error') return style.red;
  if (level === 'warning') return style.yellow;
  return level === 'debug' ? style.dim : (text) => text;
}

function logText({ timestamp, level, layer, message }: LogLine, style: Style): string {
  const word = paintOf(level, style)(level.padEnd(7));
  return `${style.dim(timestamp)}  ${word}  ${(layer ?? '').padEnd(6)}  ${printable(message)}\n`;
}

function printLine(line: LogLine, format: 'table' | 'json', terminal: Terminal): void {
  if (format === 'table') terminal.out(logText(line, terminal.outStyle));
  else printDocument({ ...line }, 'json', terminal);
}

export const run: RunCommand = ({ args, options, terminal }) => {
  const given = readOptions(shape, options);
  const format = outputFormat(given);
  if (given.follow && format === 'yaml') {
    throw new ForebayError('usage', {
      message: 'A log that is followed is no YAML',
      fix: 'Take -o json for a document on each line.',
    });
  }
  return withServer(given, async (api): Promise<ExitCode> => {
    const { id } = await findExecution(api, args[0] ?? '');
    const path = `${PATHS.executions}/${id}/logs`;
    if (given.follow && format !== 'yaml') {
      await followLogs(api, path, {
        line: (line) => printLine(line, format, terminal),
        say: (text) => terminal.err(`${printable(text)}\n`),
      });
      return 0;
    }
    const logs = await api.list(logsSchema, { path }, (page) => page.logs);
    if (format !== 'table') printDocument({ logs }, format, terminal);
    else if (logs.length === 0) terminal.err('The execution has logged nothing yet.\n');
    else for (const line of logs) printLine(line, format, terminal);
    return 0;
  });
};
