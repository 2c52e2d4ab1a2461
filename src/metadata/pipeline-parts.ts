/** What belongs to the pipelines of a page of a list, in one query each. */
import type { MetadataDb } from './database.ts';
import type { OrganizationScope } from './scope.ts';
import type { PipelineBenthosConfigurationsTable, PipelineStreamsTable } from './tables.ts';

export function listStreamsOf(
  db: MetadataDb,
  scope: OrganizationScope,
  pipelineIds: readonly string[],
): Promise<PipelineStreamsTable[]> {
  if (pipelineIds.length === 0) return Promise.resolve([]);
  return db
    .selectFrom('pipeline_streams')
    .selectAll()
    .where('organization_id', '=', scope.organizationId)
    .where('pipeline_id', 'in', pipelineIds)
    .orderBy('position')
    .execute();
}

export function listBenthosUsesOf(
  db: MetadataDb,
  scope: OrganizationScope,
  pipelineIds: readonly string[],
): Promise<PipelineBenthosConfigurationsTable[]> {
  if (pipelineIds.length === 0) return Promise.resolve([]);
  return db
    .selectFrom('pipeline_benthos_configurations')
    .selectAll()
    .where('organization_id', '=', scope.organizationId)
    .where('pipeline_id', 'in', pipelineIds)
    .orderBy('order')
    .execute();
}
