/** Figures of an organisation in Prometheus' text format. */
import type { MetadataDb } from '../../metadata/database.ts';
import type { OrganizationScope } from '../../metadata/scope.ts';

function line(name: string, labels: Readonly<Record<string, string>>, value: number): string {
  const list = Object.entries(labels)
    .map(([label, text]) => `${label}=${JSON.stringify(text)}`)
    .join(',');
  return `${name}${list === '' ? '' : `{${list}}`} ${value}`;
}

export async function metricsText(db: MetadataDb, scope: OrganizationScope): Promise<string> {
  const { organizationId } = scope;
  const executions = await db
    .selectFrom('executions')
    .select(['status', ({ fn }) => fn.countAll<number>().as('count')])
    .where('organization_id', '=', organizationId)
    .where('status', 'in', ['scheduled', 'running'])
    .groupBy('status')
    .execute();
  const pipelines = await db
    .selectFrom('pipelines')
    .select(['last_run_status', ({ fn }) => fn.countAll<number>().as('count')])
    .where('organization_id', '=', organizationId)
    .groupBy('last_run_status')
    .execute();
  const open = new Map(executions.map(({ status, count }) => [status, Number(count)]));
  return [
    '# HELP forebay_executions_open Executions that run or wait.',
    '# TYPE forebay_executions_open gauge',
    ...(['scheduled', 'running'] as const).map((status) =>
      line('forebay_executions_open', { status }, open.get(status) ?? 0),
    ),
    '# HELP forebay_pipelines Pipelines by how their last execution ended.',
    '# TYPE forebay_pipelines gauge',
    ...pipelines.map(({ last_run_status: status, count }) =>
      line('forebay_pipelines', { last_run_status: status ?? 'none' }, Number(count)),
    ),
    '# HELP process_resident_memory_bytes Memory of the server.',
    '# TYPE process_resident_memory_bytes gauge',
    line('process_resident_memory_bytes', {}, process.memoryUsage.rss()),
    '',
  ].join('\n');
}
