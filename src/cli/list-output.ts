import type { OutputFormat } from './options.ts';
import { renderTable, type TableColumn } from './table.ts';
import type { Terminal } from './terminal.ts';
import { toYaml } from './yaml.ts';

/** `{"v":1,...}` on one line, or the same as YAML. */
export function printDocument(
  document: Readonly<Record<string, unknown>>,
  format: 'json' | 'yaml',
  terminal: Terminal,
): void {
  const versioned = { v: 1, ...document };
  terminal.out(format === 'json' ? `${JSON.stringify(versioned)}\n` : toYaml(versioned));
}

export interface Listing<Row> {
  /** Key of the list in the document. */
  readonly key: string;
  readonly rows: readonly Row[];
  readonly columns: readonly TableColumn<Row>[];
  /** Said in place of an empty table, on stderr. */
  readonly empty: string;
}

export function printListing<Row>(
  listing: Listing<Row>,
  format: OutputFormat,
  terminal: Terminal,
): void {
  if (format !== 'table') {
    printDocument({ [listing.key]: listing.rows }, format, terminal);
  } else if (listing.rows.length === 0) {
    terminal.err(`${listing.empty}\n`);
  } else {
    const lines = renderTable(listing.columns, listing.rows, terminal.outStyle);
    terminal.out(`${lines.join('\n')}\n`);
  }
}
