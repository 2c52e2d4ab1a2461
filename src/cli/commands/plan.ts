import { z } from 'zod';
import type { ExitCode } from '../../core/errors.ts';
import type { PipelinePlan, PlannedStream } from '../../engine/pipeline.ts';
import { planPipeline } from '../../engine/plan.ts';
import type { RunCommand } from '../call.ts';
import { findingDocument, findingsExitCode, printFindings } from '../findings.ts';
import { formatCount } from '../format.ts';
import { withInterruption } from '../interruption.ts';
import { printDocument } from '../list-output.ts';
import { listShape, outputFormat, readOptions } from '../options.ts';
import { readPipelineCall } from '../pipeline-call.ts';
import { renderTable } from '../table.ts';
import type { Terminal } from '../terminal.ts';

type PlannedColumn = PlannedStream['columns'][number];

function streamDocument(stream: PlannedStream): Readonly<Record<string, unknown>> {
  const { columns, target, ...rest } = stream;
  return {
    ...rest,
    target: `${target.namespace}.${target.name}`,
    columns: columns.map(({ name, sourceType, target: into }) => ({
      name,
      sourceType,
      targetName: into.name,
      targetType: into.type,
    })),
  };
}

function facts(stream: PlannedStream): string {
  const { lane, load, deletes, delivery, exists, estimatedRows, key, state } = stream;
  const rows = estimatedRows === null ? [] : [`about ${formatCount(estimatedRows)} rows`];
  return [
    `${lane} lane`,
    `${load}, deletes ${deletes}`,
    delivery,
    key.length === 0 ? 'no key' : `key (${key.join(', ')})`,
    exists ? 'table is there' : 'new table',
    ...rows,
    ...(state === null ? [] : [`now ${state}`]),
  ].join(' · ');
}

function printStream(stream: PlannedStream, terminal: Terminal): void {
  const { bold, dim } = terminal.outStyle;
  const { namespace, name } = stream.target;
  terminal.out(`${bold(stream.stream)} ${dim('→')} ${namespace}.${name}\n  ${facts(stream)}\n`);
  const lines = renderTable<PlannedColumn>(
    [
      { title: 'column', cell: (column) => column.name },
      { title: 'at the source', cell: (column) => column.sourceType },
      { title: 'at the destination', cell: (column) => column.target.type },
      {
        title: '',
        cell: (column) => (column.target.name === column.name ? '' : `as ${column.target.name}`),
      },
    ],
    stream.columns,
    terminal.outStyle,
  );
  terminal.out(`${lines.map((line) => `  ${line}`).join('\n')}\n\n`);
}

function printPlan(plan: PipelinePlan, terminal: Terminal): void {
  const { bold } = terminal.outStyle;
  terminal.out(`${bold(`pipeline ${plan.pipeline}`)}\n\n`);
  for (const stream of plan.streams) printStream(stream, terminal);
  printFindings(plan.findings, terminal);
  if (plan.changes.length === 0) {
    terminal.out('\nA run would make nothing new in either system.\n');
    return;
  }
  terminal.out(`\n${bold('A run would make')}\n`);
  for (const change of plan.changes) terminal.out(`  + ${change}\n`);
}

function planExitCode(plan: PipelinePlan, detailed: boolean): ExitCode {
  const code = findingsExitCode(plan.findings);
  return code === 0 && detailed && plan.changes.length > 0 ? 2 : code;
}

export const run: RunCommand = async (call) => {
  const shape = { ...listShape, detailedExitcode: z.boolean().default(false) };
  const { detailedExitcode, ...output } = readOptions(shape, call.options);
  const { spec, systems, source } = await readPipelineCall(call, null);
  const mode = source.entry.source.includes('changes')
    ? ({ kind: 'replicate', untilCaughtUp: false } as const)
    : ({ kind: 'copy' } as const);
  const plan = await withInterruption((signal) => planPipeline(mode, spec, systems, signal));
  const format = outputFormat(output);
  if (format === 'table') printPlan(plan, call.terminal);
  else {
    const { pipeline, streams, changes, findings } = plan;
    printDocument(
      {
        pipeline,
        streams: streams.map(streamDocument),
        changes,
        findings: findings.map(findingDocument),
      },
      format,
      call.terminal,
    );
  }
  return planExitCode(plan, detailedExitcode);
};
