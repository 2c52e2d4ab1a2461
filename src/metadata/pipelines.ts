import { ForebayError } from '../core/errors.ts';
import { uuidv7 } from '../core/uuid.ts';
import { lockConfiguration } from './connections.ts';
import type { MetadataDb } from './database.ts';
import { openExecutions } from './executions.ts';
import { notFound, orTaken, unchanged } from './failures.ts';
import { isAfter, type Page } from './page.ts';
import { replacePipelineStreams } from './pipeline-streams.ts';
import type { OrganizationScope } from './scope.ts';
import type { Flag, Json, PipelineStreamsTable, PipelinesTable } from './tables.ts';
import { inTransaction, type MetadataTransaction, timeOf } from './transaction.ts';

export interface NewPipeline {
  readonly name: string;
  readonly source_connection_id: string;
  readonly destination_connection_id: string;
  readonly kind: string;
  readonly config: Json;
  readonly is_active: Flag;
  /** In their order. */
  readonly streams: readonly Pick<PipelineStreamsTable, 'stream' | 'config'>[];
}

/** Throws `already_exists`, and `request_unprocessable` where a connection is not there. */
export function createPipeline(
  db: MetadataDb,
  scope: OrganizationScope,
  pipeline: NewPipeline & { readonly id?: string },
): Promise<PipelinesTable> {
  const { streams, id = uuidv7(), ...rest } = pipeline;
  const now = timeOf();
  return inTransaction(db, async (transaction) => {
    await lockConfiguration(transaction, scope);
    await requireConnections(transaction, scope, pipeline);
    const insert = transaction
      .insertInto('pipelines')
      .values({
        ...rest,
        id,
        organization_id: scope.organizationId,
        last_run_at: null,
        last_run_status: null,
        version: 1,
        created_at: now,
        updated_at: now,
      })
      .returningAll()
      .executeTakeFirstOrThrow();
    const row = await orTaken(insert, `a pipeline named ${rest.name}`);
    await replacePipelineStreams(transaction, scope, { pipelineId: row.id, streams });
    return row;
  });
}

async function requireConnections(
  transaction: MetadataTransaction,
  scope: OrganizationScope,
  pipeline: Pick<Partial<NewPipeline>, 'source_connection_id' | 'destination_connection_id'>,
): Promise<void> {
  const named = [pipeline.source_connection_id, pipeline.destination_connection_id].filter(
    (id) => id !== undefined,
  );
  if (named.length === 0) return;
  const rows = await transaction
    .selectFrom('connections')
    .select('id')
    .where('organization_id', '=', scope.organizationId)
    .where('id', 'in', named)
    .execute();
  const missing = named.find((id) => !rows.some((row) => row.id === id));
  if (missing !== undefined)
    throw new ForebayError('request_unprocessable', {
      message: `there is no connection ${missing}`,
    });
}

export async function findPipeline(
  db: MetadataDb,
  scope: OrganizationScope,
  id: string,
): Promise<PipelinesTable | null> {
  const row = await db
    .selectFrom('pipelines')
    .selectAll()
    .where('organization_id', '=', scope.organizationId)
    .where('id', '=', id)
    .executeTakeFirst();
  return row ?? null;
}

/** Throws `not_found` unless it is the organisation's. */
export async function requirePipeline(
  db: MetadataDb,
  scope: OrganizationScope,
  id: string,
): Promise<PipelinesTable> {
  const row = await findPipeline(db, scope, id);
  if (row === null) throw notFound('pipeline', id);
  return row;
}

export function listPipelines(
  db: MetadataDb,
  scope: OrganizationScope,
  page: Page,
): Promise<PipelinesTable[]> {
  return db
    .selectFrom('pipelines')
    .selectAll()
    .where('organization_id', '=', scope.organizationId)
    .where(isAfter('created_at', page.after))
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(page.limit)
    .execute();
}

/** Streams that are given take the place of all that were. Throws as `createPipeline`, and `version_stale`, `not_found`. */
export function updatePipeline(
  db: MetadataDb,
  scope: OrganizationScope,
  update: {
    readonly id: string;
    readonly version: number;
    readonly changes: Partial<NewPipeline>;
  },
): Promise<PipelinesTable> {
  const { id, version } = update;
  const { streams, ...rest } = update.changes;
  return inTransaction(db, async (transaction) => {
    await lockConfiguration(transaction, scope);
    await requireConnections(transaction, scope, rest);
    const write = transaction
      .updateTable('pipelines')
      .set({ ...rest, version: version + 1, updated_at: timeOf() })
      .where('organization_id', '=', scope.organizationId)
      .where('id', '=', id)
      .where('version', '=', version)
      .returningAll()
      .executeTakeFirst();
    const row = await orTaken(write, `a pipeline named ${rest.name}`);
    if (row === undefined)
      throw unchanged('pipeline', id, await findPipeline(transaction, scope, id));
    if (streams !== undefined)
      await replacePipelineStreams(transaction, scope, { pipelineId: id, streams });
    return row;
  });
}

/** Throws `in_use` while an execution of it is open. */
export async function requireIdle(
  db: MetadataDb,
  scope: OrganizationScope,
  { id, name }: Pick<PipelinesTable, 'id' | 'name'>,
): Promise<void> {
  const [open] = await openExecutions(db, scope, id);
  if (open === undefined) return;
  throw new ForebayError('in_use', {
    message: `the execution ${open.id} of the pipeline ${name} has not ended`,
    fix: 'Wait for it, or cancel it.',
  });
}

/** With its streams, schedule and checkpoints; what it did stays. Throws `in_use` while an execution is open. */
export function deletePipeline(
  db: MetadataDb,
  scope: OrganizationScope,
  pipeline: { readonly id: string; readonly version: number },
): Promise<void> {
  const { id, version } = pipeline;
  return inTransaction(db, async (transaction) => {
    // The row is locked by this, so that no execution is claimed meanwhile.
    const locked = await transaction
      .updateTable('pipelines')
      .set({ updated_at: timeOf() })
      .where('organization_id', '=', scope.organizationId)
      .where('id', '=', id)
      .where('version', '=', version)
      .returning('name')
      .executeTakeFirst();
    if (locked === undefined)
      throw unchanged('pipeline', id, await findPipeline(transaction, scope, id));
    await requireIdle(transaction, scope, { id, name: locked.name });
    for (const table of [
      'pipeline_streams',
      'pipeline_benthos_configurations',
      'schedules',
      'checkpoints',
      'dead_letters',
    ] as const)
      await transaction
        .deleteFrom(table)
        .where('organization_id', '=', scope.organizationId)
        .where('pipeline_id', '=', id)
        .execute();
    await transaction
      .deleteFrom('pipelines')
      .where('organization_id', '=', scope.organizationId)
      .where('id', '=', id)
      .execute();
  });
}
