import { sql } from 'kysely';
import type { MetadataDb } from './database.ts';
import type { OrganizationScope } from './scope.ts';
import type { ExecutionLayersTable, Layer } from './tables.ts';

export type LayerState = Partial<Omit<ExecutionLayersTable, 'execution_id' | 'organization_id'>> &
  Pick<ExecutionLayersTable, 'layer' | 'status'>;

/** What is left out stays as it was. The execution is known to be the organisation's. */
export function putExecutionLayer(
  db: MetadataDb,
  scope: OrganizationScope,
  executionId: string,
  state: LayerState,
): Promise<ExecutionLayersTable> {
  return db
    .insertInto('execution_layers')
    .values({
      ...state,
      execution_id: executionId,
      organization_id: scope.organizationId,
    })
    .onConflict((conflict) =>
      conflict
        .columns(['execution_id', 'layer'])
        .doUpdateSet(state)
        .where('execution_layers.organization_id', '=', scope.organizationId),
    )
    .returningAll()
    .executeTakeFirstOrThrow();
}

const ORDER: Readonly<Record<Layer, number>> = { bronze: 0, silver: 1, gold: 2 };

/** Of the executions of a page; bronze, silver, gold. */
export async function listExecutionLayers(
  db: MetadataDb,
  scope: OrganizationScope,
  executionIds: readonly string[],
): Promise<ExecutionLayersTable[]> {
  if (executionIds.length === 0) return [];
  const rows = await db
    .selectFrom('execution_layers')
    .selectAll()
    .where('organization_id', '=', scope.organizationId)
    .where(sql<boolean>`execution_id in (${sql.join(executionIds)})`)
    .execute();
  return rows.sort((one, other) => ORDER[one.layer] - ORDER[other.layer]);
}
