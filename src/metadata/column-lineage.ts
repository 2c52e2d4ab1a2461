import { sql } from 'kysely';
import type { MetadataDb } from './database.ts';
import type { OrganizationScope } from './scope.ts';
import type { ColumnLineageTable, Layer } from './tables.ts';
import { inTransaction } from './transaction.ts';

export type LineageEdge = Omit<ColumnLineageTable, 'execution_id' | 'organization_id'>;

/** Takes the place of what the execution recorded of the layer before. */
export function recordColumnLineage(
  db: MetadataDb,
  scope: OrganizationScope,
  place: { readonly executionId: string; readonly layer: Layer },
  edges: readonly Omit<LineageEdge, 'layer'>[],
): Promise<void> {
  return inTransaction(db, async (transaction) => {
    await transaction
      .deleteFrom('column_lineage')
      .where('organization_id', '=', scope.organizationId)
      .where('execution_id', '=', place.executionId)
      .where('layer', '=', place.layer)
      .execute();
    for (const edge of edges)
      await transaction
        .insertInto('column_lineage')
        .values({
          ...edge,
          layer: place.layer,
          execution_id: place.executionId,
          organization_id: scope.organizationId,
        })
        .onConflict((conflict) => conflict.doNothing())
        .execute();
  });
}

export function listColumnLineage(
  db: MetadataDb,
  scope: OrganizationScope,
  executionId: string,
): Promise<ColumnLineageTable[]> {
  return db
    .selectFrom('column_lineage')
    .selectAll()
    .where('organization_id', '=', scope.organizationId)
    .where('execution_id', '=', executionId)
    .orderBy('layer')
    .orderBy('table_name')
    .orderBy('column_name')
    .orderBy('source_table')
    .orderBy('source_column')
    .execute();
}

/** From a number of rows on: bronze, silver, gold, and in each by table and column. */
export function readColumnLineage(
  db: MetadataDb,
  scope: OrganizationScope,
  executionId: string,
  page: { readonly after: number; readonly limit: number },
): Promise<LineageEdge[]> {
  return db
    .selectFrom('column_lineage')
    .select(['layer', 'table_name', 'column_name', 'source_table', 'source_column'])
    .where('organization_id', '=', scope.organizationId)
    .where('execution_id', '=', executionId)
    .orderBy(sql`case layer when 'bronze' then 0 when 'silver' then 1 else 2 end`)
    .orderBy('table_name')
    .orderBy('column_name')
    .orderBy('source_table')
    .orderBy('source_column')
    .limit(page.limit)
    .offset(page.after)
    .execute();
}
