import type { RunResult } from '../../engine/pipeline.ts';
import { formatCount, formatDuration } from '../format.ts';
import { printResult, resultDocument } from '../result-output.ts';
import { renderTable, type TableColumn } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import type { ComparedTable } from './comparison.ts';
import type { WriterReport } from './writer.ts';

export interface DemoOutcome {
  readonly result: RunResult;
  readonly writer: WriterReport;
  readonly tables: readonly ComparedTable[];
  readonly identical: boolean;
  readonly durationMs: number;
}

function columns({ outStyle }: Terminal): readonly TableColumn<ComparedTable>[] {
  const { green, red } = outStyle;
  return [
    { title: 'stream', cell: ({ stream }) => stream },
    { title: 'source rows', align: 'right', cell: ({ sourceRows }) => formatCount(sourceRows) },
    {
      title: 'destination rows',
      align: 'right',
      cell: ({ destinationRows }) => formatCount(destinationRows),
    },
    { title: 'source hash', cell: ({ sourceHash }) => sourceHash },
    { title: 'destination hash', cell: ({ destinationHash }) => destinationHash },
    {
      title: '',
      cell: ({ identical, differing }) =>
        identical ? green('identical') : red(`DIFFERENT ${differing.join(', ')}`.trimEnd()),
    },
  ];
}

function printVerdict({ tables, identical, durationMs }: DemoOutcome, terminal: Terminal): void {
  const { bold, green, red } = terminal.outStyle;
  const rows = tables.reduce((sum, { sourceRows }) => sum + sourceRows, 0);
  const took = formatDuration(durationMs);
  terminal.out(
    identical
      ? `${green(bold('Identical'))}: ${tables.length} tables, ${formatCount(rows)} rows, by content, after ${took}.\n`
      : `${red(bold('Not identical'))} after ${took}.\n`,
  );
}

function printJson(outcome: DemoOutcome, terminal: Terminal): void {
  const { result, writer, tables, identical, durationMs } = outcome;
  const document = {
    v: 1,
    identical,
    durationMs: Math.round(durationMs),
    streams: tables,
    writer: {
      transactions: writer.transactions,
      rows: writer.rows,
      keyChanges: writer.keyChanges,
      schemaChange: writer.schemaChange,
      longTransactionRows: writer.longTransaction?.rows ?? 0,
    },
    result: resultDocument(result),
  };
  terminal.out(`${JSON.stringify(document)}\n`);
}

export function printOutcome(outcome: DemoOutcome, json: boolean, terminal: Terminal): void {
  if (json) {
    printJson(outcome, terminal);
    return;
  }
  if (outcome.result.error !== null) printResult(outcome.result, terminal);
  if (outcome.tables.length > 0) {
    const lines = renderTable(columns(terminal), outcome.tables, terminal.outStyle);
    terminal.out(`\n${lines.join('\n')}\n\n`);
  }
  printVerdict(outcome, terminal);
}
