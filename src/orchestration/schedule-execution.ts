/** Writes executions down, by hand or because they are due; the dispatcher starts them. */
import { appendEvents } from '../metadata/events-outbox.ts';
import { claimExecution, openExecutions, updateRunningExecution } from '../metadata/executions.ts';
import { findPipeline } from '../metadata/pipelines.ts';
import { type OrganizationScope, scopeOf } from '../metadata/scope.ts';
import type { PipelinesTable, SchedulesTable } from '../metadata/tables.ts';
import { type MetadataTransaction, timeOf } from '../metadata/transaction.ts';
import type { FlowName } from './flows/index.ts';
import { decideOverlap } from './schedules/decisions.ts';
import type { FireOutcome, ScheduleSkip } from './schedules/scheduler.ts';

const WORKFLOW_OF_KIND: Readonly<Record<string, FlowName>> = {
  etl: 'ETLWorkflow',
  sync: 'DataSourceSyncWorkflow',
  ingestion: 'DataIngestionWorkflow',
  replication: 'ReplicationWorkflow',
};

export function workflowOf({ kind }: Pick<PipelinesTable, 'kind'>): FlowName {
  return WORKFLOW_OF_KIND[kind] ?? 'ETLWorkflow';
}

/** One workflow follows a pipeline, so that no two can write at once; executions have each their own. */
export async function scheduleExecution(
  transaction: MetadataTransaction,
  scope: OrganizationScope,
  what: {
    readonly pipeline: PipelinesTable;
    readonly trigger: 'manual' | 'schedule' | 'backfill';
    readonly workflow?: FlowName;
    readonly parameters: object;
    readonly mostOpen?: number;
  },
): Promise<{ readonly executionId: string; readonly estimatedStart: string }> {
  const { pipeline, trigger, parameters, mostOpen } = what;
  const workflow = what.workflow ?? workflowOf(pipeline);
  const { execution } = await claimExecution(transaction, scope, {
    pipeline_id: pipeline.id,
    workflow,
    trigger,
    parameters: JSON.stringify(parameters),
    ...(workflow === 'ReplicationWorkflow' ? { workflow_id: pipeline.id } : {}),
    ...(mostOpen === undefined ? {} : { mostOpen }),
  });
  return { executionId: execution.id, estimatedStart: timeOf() };
}

/** What the dispatcher is told by `executions.control`. */
export const CANCEL = 'cancel';

/** Of a schedule whose executions may overlap; they take turns, as all of a pipeline do. */
const MOST_WAITING = 100;

/** In the transaction that moves the schedule on. */
export async function fireSchedule(
  schedule: SchedulesTable,
  scheduledForMs: number,
  transaction: MetadataTransaction,
): Promise<FireOutcome> {
  const scope = scopeOf(schedule.organization_id);
  const pipeline = await findPipeline(transaction, scope, schedule.pipeline_id);
  if (pipeline === null || pipeline.is_active === 0) return 'disabled';
  const open = await openExecutions(transaction, scope, pipeline.id);
  const [first] = open;
  const decision = decideOverlap(schedule.overlap_policy, {
    running: first !== undefined,
    buffered: open.length > 1,
  });
  if (decision.kind === 'skip') return 'overlap';
  if (decision.kind === 'cancel-then-start' && first?.status === 'running') {
    const changes = { control: CANCEL };
    await updateRunningExecution(transaction, scope, { id: first.id, changes });
  }
  const mostOpen = 1 + (schedule.overlap_policy === 'allow' ? MOST_WAITING : 1);
  if (open.length >= mostOpen) return 'overlap';
  await scheduleExecution(transaction, scope, {
    pipeline,
    trigger: 'schedule',
    parameters: {
      parameters: { dateRange: null, force: false },
      scheduledFor: timeOf(scheduledForMs),
    },
    mostOpen,
  });
  return 'started';
}

/** At the end of that transaction: nobody has to look for a run that did not come. */
export async function tellSkips(
  skips: readonly ScheduleSkip[],
  transaction: MetadataTransaction,
): Promise<void> {
  for (const [organizationId, own] of Map.groupBy(
    skips,
    ({ schedule }) => schedule.organization_id,
  )) {
    await appendEvents(
      transaction,
      scopeOf(organizationId),
      own.map(({ schedule: { id, pipeline_id }, reason, count, scheduledForMs }) => ({
        type: 'schedule.skipped',
        subject: id,
        data: JSON.stringify({
          schedule_id: id,
          pipeline_id,
          reason,
          count,
          scheduled_for: scheduledForMs === null ? null : timeOf(scheduledForMs),
        }),
      })),
    );
  }
}
