import { ForebayError } from '../core/errors.ts';
import { uuidv7 } from '../core/uuid.ts';
import type { MetadataDb } from './database.ts';
import { notFound } from './failures.ts';
import type { OrganizationScope } from './scope.ts';
import type { ExecutionsTable, ExecutionStatus, Json } from './tables.ts';
import { inTransaction, type MetadataTransaction, timeOf } from './transaction.ts';

/** Of a change of state: whether this call made it, or another one was first. */
export interface ExecutionChange {
  readonly changed: boolean;
  readonly execution: ExecutionsTable;
}

/** One that runs and one that waits. */
const MOST_OPEN = 2;

export type NewExecution = Pick<
  ExecutionsTable,
  'pipeline_id' | 'workflow' | 'trigger' | 'parameters'
> & {
  /** Left out, they are drawn: the workflow's id is then `execution-<id>`. */
  readonly id?: string;
  readonly workflow_id?: string;
  /** How many of the pipeline may be open, this one among them. */
  readonly mostOpen?: number;
};

/**
 * Enters an execution as scheduled. `waits` says that another one is before it: it begins when that one has ended.
 * Throws `execution_waits` where as many wait as may, `not_found` for the pipeline.
 */
export function claimExecution(
  db: MetadataDb,
  scope: OrganizationScope,
  execution: NewExecution,
): Promise<{ readonly execution: ExecutionsTable; readonly waits: boolean }> {
  const {
    id = uuidv7(),
    mostOpen = MOST_OPEN,
    workflow_id = `execution-${id}`,
    ...rest
  } = execution;
  return inTransaction(db, async (transaction) => {
    const pipeline = await lockPipeline(transaction, scope, rest.pipeline_id);
    const open = await transaction
      .selectFrom('executions')
      .select('scheduled_at')
      .where('organization_id', '=', scope.organizationId)
      .where('pipeline_id', '=', rest.pipeline_id)
      .where('status', 'in', ['running', 'scheduled'])
      .orderBy('scheduled_at', 'desc')
      .limit(mostOpen)
      .execute();
    const [before] = open;
    if (open.length >= mostOpen)
      throw new ForebayError('execution_waits', {
        message: `an execution of the pipeline ${pipeline.name} runs, and another one waits`,
      });
    const row = await transaction
      .insertInto('executions')
      .values({
        ...rest,
        id,
        organization_id: scope.organizationId,
        pipeline_name: pipeline.name,
        workflow_id,
        run_id: null,
        status: 'scheduled',
        error: null,
        output: null,
        retry: null,
        control: null,
        records_processed: null,
        records_failed: null,
        size_bytes: null,
        // After the one before, also where the clock says the same or was set back: the order is kept by it.
        scheduled_at: timeOf(
          before === undefined
            ? Date.now()
            : Math.max(Date.now(), Date.parse(before.scheduled_at) + 1),
        ),
        started_at: null,
        completed_at: null,
        duration_ms: null,
      })
      .returningAll()
      .executeTakeFirstOrThrow();
    return { execution: row, waits: open.length > 0 };
  });
}

/** Whatever decides over executions of a pipeline does so one after the other: the row is locked by being written. */
async function lockPipeline(
  transaction: MetadataTransaction,
  scope: OrganizationScope,
  id: string,
): Promise<{ readonly name: string }> {
  const row = await transaction
    .updateTable('pipelines')
    .set({ id })
    .where('organization_id', '=', scope.organizationId)
    .where('id', '=', id)
    .returning('name')
    .executeTakeFirst();
  if (row === undefined) throw notFound('pipeline', id);
  return row;
}

/**
 * From scheduled to running. Where no `run_id` is given the one that was noted stays: the run may tell that it has
 * begun before or after whoever started it has written down which one it is. Not changed where it runs already or has
 * ended; throws `execution_waits` while one that was entered before has not ended.
 */
export function startExecution(
  db: MetadataDb,
  scope: OrganizationScope,
  start: { readonly id: string; readonly run_id: string | null },
): Promise<ExecutionChange> {
  const { id, run_id } = start;
  return inTransaction(db, async (transaction) => {
    const known = await requireExecution(transaction, scope, id);
    const pipeline = await lockPipeline(transaction, scope, known.pipeline_id);
    const [next] = await openExecutions(transaction, scope, known.pipeline_id);
    const now = timeOf();
    const row = await transaction
      .updateTable('executions')
      .set({ status: 'running', started_at: now, ...(run_id === null ? {} : { run_id }) })
      .where('organization_id', '=', scope.organizationId)
      .where('id', '=', id)
      // The first one of those that are open, and no other.
      .where('id', '=', next?.id ?? '')
      .where('status', '=', 'scheduled')
      .returningAll()
      .executeTakeFirst();
    if (row === undefined) {
      const execution = await requireExecution(transaction, scope, id);
      if (execution.status !== 'scheduled') return { changed: false, execution };
      throw new ForebayError('execution_waits', {
        message: `another execution of the pipeline ${pipeline.name} is before it`,
      });
    }
    await noteRun(transaction, scope, { id: row.pipeline_id, at: now, status: 'running' });
    return { changed: true, execution: row };
  });
}

export interface ExecutionEnd {
  readonly id: string;
  readonly status: 'completed' | 'failed' | 'cancelled';
  readonly error?: Json | null;
  readonly output?: Json | null;
  readonly records_processed?: number | null;
  readonly records_failed?: number | null;
  readonly size_bytes?: number | null;
}

/** Not changed where it had ended. What has not begun can fail and be cancelled, and cannot be completed. */
export function endExecution(
  db: MetadataDb,
  scope: OrganizationScope,
  end: ExecutionEnd,
): Promise<ExecutionChange> {
  const { id, status, ...rest } = end;
  const from: ExecutionStatus[] = status === 'completed' ? ['running'] : ['running', 'scheduled'];
  return inTransaction(db, async (transaction) => {
    const known = await requireExecution(transaction, scope, id);
    const nowMs = Date.now();
    const duration = known.started_at === null ? null : nowMs - Date.parse(known.started_at);
    const row = await transaction
      .updateTable('executions')
      .set({
        ...rest,
        status,
        retry: null,
        completed_at: timeOf(nowMs),
        duration_ms: duration === null ? null : Math.max(0, duration),
      })
      .where('organization_id', '=', scope.organizationId)
      .where('id', '=', id)
      .where('status', 'in', from)
      .returningAll()
      .executeTakeFirst();
    if (row === undefined)
      return { changed: false, execution: await requireExecution(transaction, scope, id) };
    await noteRun(transaction, scope, { id: row.pipeline_id, at: row.started_at, status });
    return { changed: true, execution: row };
  });
}

/** What the pipeline shows of its last run; no change of the pipeline, which keeps its version. */
async function noteRun(
  transaction: MetadataTransaction,
  scope: OrganizationScope,
  run: { readonly id: string; readonly at: string | null; readonly status: ExecutionStatus },
): Promise<void> {
  if (run.at === null) return;
  await transaction
    .updateTable('pipelines')
    .set({ last_run_at: run.at, last_run_status: run.status })
    .where('organization_id', '=', scope.organizationId)
    .where('id', '=', run.id)
    .execute();
}

/** What is known while it runs. Says whether it does. */
export async function updateRunningExecution(
  db: MetadataDb,
  scope: OrganizationScope,
  update: {
    readonly id: string;
    readonly changes: Partial<
      Pick<
        ExecutionsTable,
        | 'retry'
        | 'control'
        | 'output'
        | 'run_id'
        | 'records_processed'
        | 'records_failed'
        | 'size_bytes'
      >
    >;
  },
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('executions')
    .set({ ...update.changes, status: 'running' })
    .where('organization_id', '=', scope.organizationId)
    .where('id', '=', update.id)
    .where('status', '=', 'running')
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

/** Which run of its workflow does it. Also of one that has ended: a short one does so before this is known. */
export async function noteRunId(
  db: MetadataDb,
  scope: OrganizationScope,
  of: { readonly id: string; readonly run_id: string },
): Promise<void> {
  await db
    .updateTable('executions')
    .set({ run_id: of.run_id })
    .where('organization_id', '=', scope.organizationId)
    .where('id', '=', of.id)
    .execute();
}

/** Also of one that has ended: what it left at the destination may be found later. */
export async function addFailedRecords(
  db: MetadataDb,
  scope: OrganizationScope,
  id: string,
  records: number,
): Promise<void> {
  await db
    .updateTable('executions')
    .set(({ fn, val, eb }) => ({
      records_failed: eb(fn.coalesce('records_failed', val(0)), '+', records),
    }))
    .where('organization_id', '=', scope.organizationId)
    .where('id', '=', id)
    .execute();
}

/** The one that runs or ran last, `except` left out. */
export async function lastStarted(
  db: MetadataDb,
  scope: OrganizationScope,
  of: { readonly pipelineId: string; readonly except: string | null },
): Promise<Pick<ExecutionsTable, 'id' | 'status'> | null> {
  let query = db
    .selectFrom('executions')
    .select(['id', 'status'])
    .where('organization_id', '=', scope.organizationId)
    .where('pipeline_id', '=', of.pipelineId)
    .where('started_at', 'is not', null);
  if (of.except !== null) query = query.where('id', '<>', of.except);
  const row = await query
    .orderBy('started_at', 'desc')
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row ?? null;
}

export async function findExecution(
  db: MetadataDb,
  scope: OrganizationScope,
  id: string,
): Promise<ExecutionsTable | null> {
  const row = await db
    .selectFrom('executions')
    .selectAll()
    .where('organization_id', '=', scope.organizationId)
    .where('id', '=', id)
    .executeTakeFirst();
  return row ?? null;
}

async function requireExecution(
  db: MetadataDb,
  scope: OrganizationScope,
  id: string,
): Promise<ExecutionsTable> {
  const row = await findExecution(db, scope, id);
  if (row === null) throw notFound('execution', id);
  return row;
}

/** The one that runs and those that wait, in the order in which they were entered. */
export function openExecutions(
  db: MetadataDb,
  scope: OrganizationScope,
  pipelineId: string,
): Promise<ExecutionsTable[]> {
  return db
    .selectFrom('executions')
    .selectAll()
    .where('organization_id', '=', scope.organizationId)
    .where('pipeline_id', '=', pipelineId)
    .where('status', 'in', ['running', 'scheduled'])
    .orderBy('scheduled_at')
    .orderBy('id')
    .execute();
}

/** Executions of a replication have one workflow id, and a run of it each. */
export async function isRunOfAnother(
  db: MetadataDb,
  scope: OrganizationScope,
  {
    id,
    pipelineId,
    runId,
  }: { readonly id: string; readonly pipelineId: string; readonly runId: string },
): Promise<boolean> {
  const row = await db
    .selectFrom('executions')
    .select('id')
    .where('organization_id', '=', scope.organizationId)
    .where('pipeline_id', '=', pipelineId)
    .where('run_id', '=', runId)
    .where('id', '<>', id)
    .executeTakeFirst();
  return row !== undefined;
}

/** What tells where an execution stands; there may be thousands of them. */
export type ExecutionHead = Pick<
  ExecutionsTable,
  | 'id'
  | 'organization_id'
  | 'pipeline_id'
  | 'workflow_id'
  | 'run_id'
  | 'status'
  | 'control'
  | 'scheduled_at'
>;

/** Over all organisations, in the order in which they were entered. */
export function allOpenExecutions(db: MetadataDb): Promise<ExecutionHead[]> {
  return (
    db
      // By organisation there is an index of the states.
      .selectFrom('organizations')
      .innerJoin('executions', 'executions.organization_id', 'organizations.id')
      .select([
        'executions.id',
        'executions.organization_id',
        'executions.pipeline_id',
        'executions.workflow_id',
        'executions.run_id',
        'executions.status',
        'executions.control',
        'executions.scheduled_at',
      ])
      .where('executions.status', 'in', ['running', 'scheduled'])
      .orderBy('executions.scheduled_at')
      .orderBy('executions.id')
      .execute()
  );
}
