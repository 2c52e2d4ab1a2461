import type { MetadataDb } from './database.ts';
import { isAfter, type Page } from './page.ts';
import type { OrganizationScope } from './scope.ts';
import type { DeadLettersTable } from './tables.ts';
import { uuidv7 } from '../core/uuid.ts';
import { timeOf } from './transaction.ts';

/** The letter itself is where the pipeline puts it; this is what a list shows. Again is the same. */
export async function indexDeadLetter(
  db: MetadataDb,
  scope: OrganizationScope,
  letter: Pick<
    DeadLettersTable,
    'pipeline_id' | 'execution_id' | 'stream' | 'letter_id' | 'code' | 'reason'
  >,
): Promise<void> {
  await db
    .insertInto('dead_letters')
    .values({
      ...letter,
      id: uuidv7(),
      organization_id: scope.organizationId,
      created_at: timeOf(),
      resolved_at: null,
    })
    .onConflict((conflict) => conflict.columns(['pipeline_id', 'letter_id']).doNothing())
    .execute();
}

export async function findDeadLetter(
  db: MetadataDb,
  scope: OrganizationScope,
  id: string,
): Promise<DeadLettersTable | null> {
  const row = await db
    .selectFrom('dead_letters')
    .selectAll()
    .where('organization_id', '=', scope.organizationId)
    .where('id', '=', id)
    .executeTakeFirst();
  return row ?? null;
}

export interface DeadLetterFilter {
  readonly pipelineId?: string | undefined;
  readonly resolved?: boolean | undefined;
}

export function listDeadLetters(
  db: MetadataDb,
  scope: OrganizationScope,
  filter: DeadLetterFilter,
  page: Page,
): Promise<DeadLettersTable[]> {
  const { pipelineId, resolved } = filter;
  let query = db
    .selectFrom('dead_letters')
    .selectAll()
    .where('organization_id', '=', scope.organizationId)
    .where(isAfter('created_at', page.after));
  if (pipelineId !== undefined) query = query.where('pipeline_id', '=', pipelineId);
  if (resolved !== undefined) query = query.where('resolved_at', resolved ? 'is not' : 'is', null);
  return query.orderBy('created_at', 'desc').orderBy('id', 'desc').limit(page.limit).execute();
}

/** Says whether it was open. */
export async function resolveDeadLetter(
  db: MetadataDb,
  scope: OrganizationScope,
  letter: { readonly pipelineId: string; readonly letterId: string },
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('dead_letters')
    .set({ resolved_at: timeOf() })
    .where('organization_id', '=', scope.organizationId)
    .where('pipeline_id', '=', letter.pipelineId)
    .where('letter_id', '=', letter.letterId)
    .where('resolved_at', 'is', null)
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}
