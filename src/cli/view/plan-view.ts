/** What a run would do, for people and as a document. */
import type { PipelinePlan, PlannedStream, PlannedTransformation } from '../../engine/pipeline.ts';
import { findingDocument, printFindings } from '../findings.ts';
import { formatCount } from '../format.ts';
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
  const { transformation } = stream;
  const rows = estimatedRows === null ? [] : [`about ${formatCount(estimatedRows)} rows`];
  return [
    `${lane} lane`,
    `${load}, deletes ${deletes}`,
    delivery,
    key.length === 0 ? 'no key' : `key (${key.join(', ')})`,
    exists ? 'table is there' : 'new table',
    ...rows,
    ...(state === null ? [] : [`now ${state}`]),
    ...(transformation === null ? [] : [transformationText(transformation)]),
  ].join(' · ');
}

function transformationText({ pushedDown, why }: PlannedTransformation): string {
  return pushedDown
    ? "transformed in the source's query, changes here"
    : `transformed here${why === null ? '' : ` (${why})`}`;
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

export function printPlan(plan: PipelinePlan, terminal: Terminal): void {
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

export function planDocument(plan: PipelinePlan): Readonly<Record<string, unknown>> {
  const { pipeline, streams, changes, findings } = plan;
  return {
    pipeline,
    streams: streams.map(streamDocument),
    changes,
    findings: findings.map(findingDocument),
  };
}
