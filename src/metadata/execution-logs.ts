import type { MetadataDb } from './database.ts';
import type { OrganizationScope } from './scope.ts';
import type { ExecutionLogsTable } from './tables.ts';
import { inTransaction, lockUntilCommit } from './transaction.ts';

export type LogLine = Omit<ExecutionLogsTable, 'id' | 'organization_id' | 'execution_id'>;

const LINES_A_STATEMENT = 1000;

/**
 * Lines whose key is there are left out: a step that is repeated writes nothing twice. Writers of one execution go one
 * after the other, so that a reader that goes on after an id misses none.
 */
export function appendLogs(
  db: MetadataDb,
  scope: OrganizationScope,
  executionId: string,
  lines: readonly LogLine[],
): Promise<void> {
  return inTransaction(db, async (transaction) => {
    await lockUntilCommit(transaction, `logs:${executionId}`);
    for (let first = 0; first < lines.length; first += LINES_A_STATEMENT)
      await transaction
        .insertInto('execution_logs')
        .values(
          lines.slice(first, first + LINES_A_STATEMENT).map((line) => ({
            ...line,
            organization_id: scope.organizationId,
            execution_id: executionId,
          })),
        )
        .onConflict((conflict) => conflict.columns(['execution_id', 'line_key']).doNothing())
        .execute();
  });
}

/** Oldest first, after the id of the last one that was read (0 for the start). */
export function readLogs(
  db: MetadataDb,
  scope: OrganizationScope,
  executionId: string,
  page: { readonly after: number; readonly limit: number },
): Promise<(Omit<ExecutionLogsTable, 'id'> & { readonly id: number })[]> {
  return db
    .selectFrom('execution_logs')
    .selectAll()
    .where('organization_id', '=', scope.organizationId)
    .where('execution_id', '=', executionId)
    .where('id', '>', page.after)
    .orderBy('id')
    .limit(page.limit)
    .execute();
}
