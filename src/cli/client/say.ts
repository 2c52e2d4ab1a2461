/** What a command did to one thing: a sentence, or the thing as a document. */
import { printDocument } from '../list-output.ts';
import type { OutputFormat } from '../options.ts';
import type { Terminal } from '../terminal.ts';
import { printable } from './printable.ts';

export function sayDone(
  sentence: string,
  document: Readonly<Record<string, unknown>>,
  { format, terminal }: { readonly format: OutputFormat; readonly terminal: Terminal },
): void {
  if (format === 'table') terminal.out(`${printable(sentence)}\n`);
  else printDocument(document, format, terminal);
}

/** One thing has too much to say for a table. */
export function show(
  document: Readonly<Record<string, unknown>>,
  format: OutputFormat,
  terminal: Terminal,
): void {
  printDocument(document, format === 'table' ? 'yaml' : format, terminal);
}
