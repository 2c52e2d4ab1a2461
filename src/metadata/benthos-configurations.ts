import { ForebayError } from '../core/errors.ts';
import { uuidv7 } from '../core/uuid.ts';
import { lockConfiguration } from './connections.ts';
import type { MetadataDb } from './database.ts';
import { notFound, orTaken, unchanged } from './failures.ts';
import { isAfter, type Page } from './page.ts';
import { requirePipeline } from './pipelines.ts';
import type { OrganizationScope } from './scope.ts';
import type { BenthosConfigurationsTable } from './tables.ts';
import { inTransaction, timeOf } from './transaction.ts';

type Content = Pick<BenthosConfigurationsTable, 'name' | 'configuration'>;

export function createBenthosConfiguration(
  db: MetadataDb,
  scope: OrganizationScope,
  content: Content,
): Promise<BenthosConfigurationsTable> {
  const now = timeOf();
  const insert = db
    .insertInto('benthos_configurations')
    .values({
      ...content,
      id: uuidv7(),
      organization_id: scope.organizationId,
      version: 1,
      created_at: now,
      updated_at: now,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  return orTaken(insert, `a Benthos configuration named ${content.name}`);
}

export async function findBenthosConfiguration(
  db: MetadataDb,
  scope: OrganizationScope,
  id: string,
): Promise<BenthosConfigurationsTable | null> {
  const row = await db
    .selectFrom('benthos_configurations')
    .selectAll()
    .where('organization_id', '=', scope.organizationId)
    .where('id', '=', id)
    .executeTakeFirst();
  return row ?? null;
}

export function listBenthosConfigurations(
  db: MetadataDb,
  scope: OrganizationScope,
  page: Page,
): Promise<BenthosConfigurationsTable[]> {
  return db
    .selectFrom('benthos_configurations')
    .selectAll()
    .where('organization_id', '=', scope.organizationId)
    .where(isAfter('created_at', page.after))
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(page.limit)
    .execute();
}

export async function updateBenthosConfiguration(
  db: MetadataDb,
  scope: OrganizationScope,
  update: { readonly id: string; readonly version: number; readonly changes: Partial<Content> },
): Promise<BenthosConfigurationsTable> {
  const { id, version, changes } = update;
  const write = db
    .updateTable('benthos_configurations')
    .set({ ...changes, version: version + 1, updated_at: timeOf() })
    .where('organization_id', '=', scope.organizationId)
    .where('id', '=', id)
    .where('version', '=', version)
    .returningAll()
    .executeTakeFirst();
  const row = await orTaken(write, `a Benthos configuration named ${changes.name}`);
  if (row !== undefined) return row;
  throw unchanged('Benthos configuration', id, await findBenthosConfiguration(db, scope, id));
}

/** Throws `in_use` while pipelines name it. */
export function deleteBenthosConfiguration(
  db: MetadataDb,
  scope: OrganizationScope,
  configuration: { readonly id: string; readonly version: number },
): Promise<void> {
  const { id, version } = configuration;
  return inTransaction(db, async (transaction) => {
    await lockConfiguration(transaction, scope);
    const user = await transaction
      .selectFrom('pipeline_benthos_configurations')
      .select('pipeline_id')
      .where('organization_id', '=', scope.organizationId)
      .where('benthos_configuration_id', '=', id)
      .executeTakeFirst();
    if (user !== undefined)
      throw new ForebayError('in_use', {
        message: `the pipeline ${user.pipeline_id} uses the Benthos configuration ${id}`,
      });
    const { numDeletedRows } = await transaction
      .deleteFrom('benthos_configurations')
      .where('organization_id', '=', scope.organizationId)
      .where('id', '=', id)
      .where('version', '=', version)
      .executeTakeFirst();
    if (numDeletedRows === 0n)
      throw unchanged(
        'Benthos configuration',
        id,
        await findBenthosConfiguration(transaction, scope, id),
      );
  });
}

/** Those of a pipeline, in the order in which they run. */
export function listPipelineBenthosConfigurations(
  db: MetadataDb,
  scope: OrganizationScope,
  pipelineId: string,
): Promise<BenthosConfigurationsTable[]> {
  return db
    .selectFrom('pipeline_benthos_configurations as used')
    .innerJoin('benthos_configurations as kept', 'kept.id', 'used.benthos_configuration_id')
    .selectAll('kept')
    .where('used.organization_id', '=', scope.organizationId)
    .where('kept.organization_id', '=', scope.organizationId)
    .where('used.pipeline_id', '=', pipelineId)
    .orderBy('used.order')
    .execute();
}

/** Takes the place of those that were. Throws `not_found` where pipeline or configuration are not the organisation's. */
export function setPipelineBenthosConfigurations(
  db: MetadataDb,
  scope: OrganizationScope,
  uses: { readonly pipelineId: string; readonly configurationIds: readonly string[] },
): Promise<void> {
  const { pipelineId, configurationIds } = uses;
  return inTransaction(db, async (transaction) => {
    await lockConfiguration(transaction, scope);
    await requirePipeline(transaction, scope, pipelineId);
    await transaction
      .deleteFrom('pipeline_benthos_configurations')
      .where('organization_id', '=', scope.organizationId)
      .where('pipeline_id', '=', pipelineId)
      .execute();
    for (const [order, id] of configurationIds.entries()) {
      if ((await findBenthosConfiguration(transaction, scope, id)) === null)
        throw notFound('Benthos configuration', id);
      const insert = transaction
        .insertInto('pipeline_benthos_configurations')
        .values({
          pipeline_id: pipelineId,
          organization_id: scope.organizationId,
          benthos_configuration_id: id,
          order,
        })
        .execute();
      await orTaken(insert, `the use of the Benthos configuration ${id}`);
    }
  });
}
