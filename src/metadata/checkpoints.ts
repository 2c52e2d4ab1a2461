import type { MetadataDb } from './database.ts';
import type { OrganizationScope } from './scope.ts';
import type { CheckpointsTable } from './tables.ts';

/** A copy for display; restart goes by the destination's own. The pipeline is known to be the organisation's. */
export async function putCheckpoint(
  db: MetadataDb,
  scope: OrganizationScope,
  checkpoint: Omit<CheckpointsTable, 'organization_id'>,
): Promise<void> {
  const { pipeline_id, stream, ...state } = checkpoint;
  await db
    .insertInto('checkpoints')
    .values({ ...state, pipeline_id, stream, organization_id: scope.organizationId })
    .onConflict((conflict) =>
      conflict
        .columns(['pipeline_id', 'stream'])
        .doUpdateSet(state)
        .where('checkpoints.organization_id', '=', scope.organizationId),
    )
    .execute();
}

export function listCheckpoints(
  db: MetadataDb,
  scope: OrganizationScope,
  pipelineId: string,
): Promise<CheckpointsTable[]> {
  return db
    .selectFrom('checkpoints')
    .selectAll()
    .where('organization_id', '=', scope.organizationId)
    .where('pipeline_id', '=', pipelineId)
    .orderBy('stream')
    .execute();
}
