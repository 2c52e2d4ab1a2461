import { CONNECTORS } from '../../connectors/registry.ts';
import type { RunCommand } from '../call.ts';
import { printListing } from '../list-output.ts';
import { listShape, outputFormat, readOptions } from '../options.ts';

function orDash(words: readonly string[]): string {
  return words.length === 0 ? '-' : words.join(', ');
}

export const run: RunCommand = async ({ options, terminal }) => {
  const format = outputFormat(readOptions(listShape, options));
  const rows = Object.entries(CONNECTORS).map(([name, entry]) => {
    const { title, schemes, example, source, destination } = entry;
    return { name, title, schemes, example, source, destination };
  });
  const listing = {
    key: 'connectors',
    rows,
    empty: '',
    columns: [
      { title: 'connector', cell: (row: (typeof rows)[number]) => row.name },
      { title: 'system', cell: (row: (typeof rows)[number]) => row.title },
      { title: 'as source', cell: (row: (typeof rows)[number]) => orDash(row.source) },
      { title: 'as destination', cell: (row: (typeof rows)[number]) => orDash(row.destination) },
      { title: 'URL', cell: (row: (typeof rows)[number]) => row.example },
    ],
  };
  printListing(listing, format, terminal);
  return 0;
};
