/** Writes the connections and pipelines of a server as files for `forebay apply`. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { ForebayError } from '../../core/errors.ts';
import { type ExportedFile, exportedFiles } from '../apply/exported-files.ts';
import { readLive } from '../apply/live-state.ts';
import type { RunCommand } from '../call.ts';
import { withServer } from '../client/connect.ts';
import { clientShape } from '../client/options.ts';
import { printListing } from '../list-output.ts';
import { outputFormat, readOptions } from '../options.ts';

const shape = { ...clientShape, directory: z.string().min(1), force: z.boolean().default(false) };

type Outcome = 'written' | 'unchanged' | 'differs';

function stateOf(path: string, { text }: ExportedFile): Outcome {
  if (!existsSync(path)) return 'written';
  return readFileSync(path, 'utf8') === text ? 'unchanged' : 'differs';
}

/** Looks at all before it writes one. */
function write(folder: string, files: readonly ExportedFile[], force: boolean): readonly Outcome[] {
  mkdirSync(folder, { recursive: true });
  const states = files.map((file) => stateOf(join(folder, file.name), file));
  const [other] = files.filter((_, index) => states[index] === 'differs');
  if (other !== undefined && !force) {
    throw new ForebayError('usage', {
      message: `${join(folder, other.name)} is there already and says something else`,
      fix: 'Add --force to replace such files, or name another folder.',
    });
  }
  for (const [index, file] of files.entries()) {
    if (states[index] !== 'unchanged') writeFileSync(join(folder, file.name), file.text);
  }
  return states.map((state) => (state === 'differs' ? 'written' : state));
}

export const run: RunCommand = ({ options, terminal }) => {
  const given = readOptions(shape, options);
  return withServer(given, async (api) => {
    const files = exportedFiles(await readLive(api));
    const outcomes = write(given.directory, files, given.force);
    const rows = files.map(({ name: file, variables }, index) => ({
      file,
      outcome: outcomes[index] ?? 'written',
      variables,
    }));
    const columns = [
      { title: 'file', cell: (row: (typeof rows)[number]) => row.file },
      { title: 'outcome', cell: (row: (typeof rows)[number]) => row.outcome },
      {
        title: 'secrets are taken from',
        cell: (row: (typeof rows)[number]) => row.variables.join(', ') || '-',
      },
    ];
    const empty = 'There is nothing to write.';
    printListing({ key: 'files', rows, columns, empty }, outputFormat(given), terminal);
    return 0;
  });
};
