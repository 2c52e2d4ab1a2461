import { FAILPOINTS } from '../../core/failpoint.ts';
import type { RunCommand } from '../call.ts';
import { printListing } from '../list-output.ts';
import { listShape, outputFormat, readOptions } from '../options.ts';

interface Row {
  readonly name: string;
  readonly when: string;
}

export const run: RunCommand = async ({ options, terminal }) => {
  const format = outputFormat(readOptions(listShape, options));
  const listing = {
    key: 'failpoints',
    rows: Object.entries(FAILPOINTS).map(([name, when]): Row => ({ name, when })),
    empty: '',
    columns: [
      { title: 'name', cell: (row: Row) => row.name },
      { title: 'when it is reached', cell: (row: Row) => row.when },
    ],
  };
  printListing(listing, format, terminal);
  if (format === 'table') {
    terminal.err(
      '\nFOREBAY_FAILPOINTS=name=action@n,...   action: kill, throw, hang, delay(ms) or enospc; n: the hit, default 1\n',
    );
  }
  return 0;
};
