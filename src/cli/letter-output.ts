/** What `forebay dlq` prints, wherever the letters come from. */
import type { DeadLetter } from '../core/dead-letter.ts';
import { type ExitCode, ForebayError } from '../core/errors.ts';
import type { CommandCall } from './call.ts';
import { printable } from './client/printable.ts';
import { confirm } from './confirm.ts';
import { printDocument, printListing } from './list-output.ts';
import { type OutputFormat } from './options.ts';
import type { TableColumn } from './table.ts';
import type { Terminal } from './terminal.ts';

/** The index of a server does not know where a row stood in its source. */
export type ListedLetter = Omit<DeadLetter, 'payload' | 'op' | 'position'> & {
  readonly op: string | null;
  readonly position: string | null;
};

export interface Printing {
  readonly format: OutputFormat;
  readonly terminal: Terminal;
}

const COLUMNS: readonly TableColumn<ListedLetter>[] = [
  { title: 'id', cell: ({ id }) => printable(id) },
  { title: 'at', cell: ({ at }) => printable(at) },
  { title: 'pipeline', cell: ({ pipeline }) => printable(pipeline) },
  { title: 'stream', cell: ({ stream }) => printable(stream) },
  { title: 'op', cell: ({ op }) => op ?? '-' },
  { title: 'code', cell: ({ code }) => printable(code) },
  { title: 'reason', cell: ({ reason }) => printable(reason) },
];

export function printLetters(
  rows: readonly ListedLetter[],
  /** What `replayedAt` says: at a server also that a letter is open no longer for another reason. */
  title: 'replayed' | 'resolved',
  { format, terminal }: Printing,
): void {
  const replayed = { title, cell: ({ replayedAt }: ListedLetter) => replayedAt ?? '-' };
  const columns = [...COLUMNS, replayed];
  const empty = 'There are no dead letters.';
  printListing({ key: 'deadLetters', rows, columns, empty }, format, terminal);
}

export function missingLetter(id: string): ForebayError {
  return new ForebayError('dlq_entry_missing', {
    message: `There is no dead letter ${JSON.stringify(id)}`,
  });
}

/** Ids, or all; not both, and not nothing. */
export function assertChoice(ids: CommandCall['args'], all: boolean): void {
  if ((ids.length === 0) !== all) {
    throw new ForebayError('usage', {
      message: all ? 'Both ids and --all were given' : 'No dead letter was named',
      fix: 'Give ids as `forebay dlq list` prints them, or --all.',
    });
  }
}

export interface Replayed {
  readonly id: string;
  readonly error: string | null;
}

const REPLAYED: readonly TableColumn<Replayed>[] = [
  { title: 'id', cell: ({ id }) => id },
  { title: 'result', cell: ({ error }) => error ?? 'applied' },
];

export function printReplayed(rows: readonly Replayed[], { format, terminal }: Printing): ExitCode {
  const empty = 'There is nothing to replay.';
  printListing({ key: 'replayed', rows, columns: REPLAYED, empty }, format, terminal);
  return rows.some(({ error }) => error !== null) ? 5 : 0;
}

export async function confirmRemoval(
  letters: number,
  isConfirmed: boolean,
  terminal: Terminal,
): Promise<void> {
  const question = `Remove ${letters} dead letters for good?`;
  if (await confirm(question, isConfirmed, terminal)) return;
  throw new ForebayError('interrupted', { message: 'Nothing was removed' });
}

export function printRemoved(removed: number, { format, terminal }: Printing): void {
  if (format === 'table') terminal.out(`Removed ${removed} dead letters.\n`);
  else printDocument({ removed }, format, terminal);
}
