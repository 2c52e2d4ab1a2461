import type { MetadataDb } from './database.ts';
import type { OrganizationScope } from './scope.ts';
import type { PipelineStreamsTable } from './tables.ts';
import { inTransaction } from './transaction.ts';

export function listPipelineStreams(
  db: MetadataDb,
  scope: OrganizationScope,
  pipelineId: string,
): Promise<PipelineStreamsTable[]> {
  return db
    .selectFrom('pipeline_streams')
    .selectAll()
    .where('organization_id', '=', scope.organizationId)
    .where('pipeline_id', '=', pipelineId)
    .orderBy('position')
    .execute();
}

/** Their order is kept. The pipeline is known to be the organisation's. */
export function replacePipelineStreams(
  db: MetadataDb,
  scope: OrganizationScope,
  selection: {
    readonly pipelineId: string;
    readonly streams: readonly Pick<PipelineStreamsTable, 'stream' | 'config'>[];
  },
): Promise<void> {
  const { pipelineId, streams } = selection;
  const rows = streams.map(({ stream, config }, position) => ({
    pipeline_id: pipelineId,
    organization_id: scope.organizationId,
    stream,
    position,
    config,
  }));
  return inTransaction(db, async (transaction) => {
    await transaction
      .deleteFrom('pipeline_streams')
      .where('organization_id', '=', scope.organizationId)
      .where('pipeline_id', '=', pipelineId)
      .execute();
    for (const row of rows) await transaction.insertInto('pipeline_streams').values(row).execute();
  });
}
