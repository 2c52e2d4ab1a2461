/** What all pipelines do now. */
import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import type { ApiClient } from '../api-client.ts';
import type { RunCommand } from '../call.ts';
import { withServer } from '../client/connect.ts';
import { allPipelines, someExecutions } from '../client/find.ts';
import { clientShape } from '../client/options.ts';
import { Patience } from '../client/patience.ts';
import { printable } from '../client/printable.ts';
import { STATUS_COLUMNS, type StatusRow, statusRows } from '../client/views.ts';
import { printListing } from '../list-output.ts';
import { type OutputFormat, outputFormat, readOptions } from '../options.ts';
import { renderTable } from '../table.ts';
import type { Terminal } from '../terminal.ts';

const LOOK_MS = 2000;
const ERASE_BELOW = '\u001B[J';

const shape = { ...clientShape, watch: z.boolean().default(false) };

async function look(api: ApiClient): Promise<readonly StatusRow[]> {
  const [pipelines, running, waiting] = await Promise.all([
    allPipelines(api),
    someExecutions(api, { status: 'running' }, Number.POSITIVE_INFINITY),
    someExecutions(api, { status: 'scheduled' }, Number.POSITIVE_INFINITY),
  ]);
  return statusRows(pipelines, [...running, ...waiting]);
}

function print(rows: readonly StatusRow[], format: OutputFormat, terminal: Terminal): void {
  const empty = 'There are no pipelines.';
  printListing({ key: 'pipelines', rows, columns: STATUS_COLUMNS, empty }, format, terminal);
}

/** In place on a terminal; elsewhere one after the other, when something has changed. */
function painter(format: OutputFormat, terminal: Terminal): (rows: readonly StatusRow[]) => void {
  let before = '';
  let height = 0;
  return (rows) => {
    const text = JSON.stringify(rows);
    if (text === before) return;
    before = text;
    if (format !== 'table' || !terminal.live) {
      print(rows, format, terminal);
      return;
    }
    const { columns, rows: most } = terminal.size();
    const table = renderTable(STATUS_COLUMNS, rows, terminal.errStyle).slice(0, most - 1);
    const lines = rows.length === 0 ? ['There are no pipelines.'] : table;
    const up = height === 0 ? '' : `\u001B[${height}A`;
    terminal.err(`${up}\r${ERASE_BELOW}${lines.join('\n')}\n`);
    height = lines.reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / columns)), 0);
  };
}

async function watch(api: ApiClient, format: OutputFormat, terminal: Terminal): Promise<never> {
  const say = (text: string): void => terminal.err(`${printable(text)}\n`);
  const patience = new Patience({ signal: api.signal, say });
  const paint = painter(format, terminal);
  // A server that is not there at the start is no server that is away.
  paint(await look(api));
  for (;;) {
    await wait(LOOK_MS, undefined, { signal: api.signal });
    paint(await patience.until(() => look(api)));
  }
}

export const run: RunCommand = ({ options, terminal }) => {
  const given = readOptions(shape, options);
  const format = outputFormat(given);
  return withServer(given, async (api) => {
    if (given.watch) return await watch(api, format, terminal);
    print(await look(api), format, terminal);
    return 0;
  });
};
