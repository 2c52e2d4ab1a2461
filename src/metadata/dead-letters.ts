import type { MetadataDb } from './database.ts';
import { isAfter, type Page } from './page.ts';
import type { OrganizationScope } from './scope.ts';
import type { DeadLettersTable } from './tables.ts';
import { uuidv7 } from '../core/uuid.ts';
import { timeOf } from './transaction.ts';

export type NewLetter = Pick<
  DeadLettersTable,
  'execution_id' | 'stream' | 'letter_id' | 'code' | 'reason' | 'created_at'
> & { readonly isOpen: boolean };

/**
 * The letters themselves are where the pipeline puts them; this is what a list shows. Gives those that were not there:
 * of several who index the same letter one gets it. At most some hundreds at once.
 */
export function indexDeadLetters(
  db: MetadataDb,
  scope: OrganizationScope,
  pipelineId: string,
  letters: readonly NewLetter[],
): Promise<DeadLettersTable[]> {
  if (letters.length === 0) return Promise.resolve([]);
  return db
    .insertInto('dead_letters')
    .values(
      letters.map(({ isOpen, ...letter }) => ({
        ...letter,
        id: uuidv7(),
        organization_id: scope.organizationId,
        pipeline_id: pipelineId,
        resolved_at: isOpen ? null : timeOf(),
      })),
    )
    .onConflict((conflict) => conflict.columns(['pipeline_id', 'letter_id']).doNothing())
    .returningAll()
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

/** Those of a pipeline by the ids of the index; of others there are none. */
export function deadLettersById(
  db: MetadataDb,
  scope: OrganizationScope,
  pipelineId: string,
  ids: readonly string[],
): Promise<DeadLettersTable[]> {
  if (ids.length === 0) return Promise.resolve([]);
  return db
    .selectFrom('dead_letters')
    .selectAll()
    .where('organization_id', '=', scope.organizationId)
    .where('pipeline_id', '=', pipelineId)
    .where('id', 'in', ids)
    .execute();
}

/** Of the letters of a page of the destination, those that are indexed, and whether as open. */
export async function indexedLetters(
  db: MetadataDb,
  scope: OrganizationScope,
  pipelineId: string,
  letterIds: readonly string[],
): Promise<ReadonlyMap<string, { readonly isOpen: boolean }>> {
  if (letterIds.length === 0) return new Map();
  const rows = await db
    .selectFrom('dead_letters')
    .select(['letter_id', 'resolved_at'])
    .where('organization_id', '=', scope.organizationId)
    .where('pipeline_id', '=', pipelineId)
    .where('letter_id', 'in', letterIds)
    .execute();
  return new Map(rows.map((row) => [row.letter_id, { isOpen: row.resolved_at === null }]));
}

/** Ids at the destination of letters that are indexed as open, in the order of these ids. */
export async function openLetters(
  db: MetadataDb,
  scope: OrganizationScope,
  pipelineId: string,
  page: { readonly after: string; readonly limit: number },
): Promise<string[]> {
  const rows = await db
    .selectFrom('dead_letters')
    .select('letter_id')
    .where('organization_id', '=', scope.organizationId)
    .where('pipeline_id', '=', pipelineId)
    .where('letter_id', '>', page.after)
    .where('resolved_at', 'is', null)
    .orderBy('letter_id')
    .limit(page.limit)
    .execute();
  return rows.map((row) => row.letter_id);
}

export async function countOpenLetters(
  db: MetadataDb,
  scope: OrganizationScope,
  of: { readonly pipelineId: string; readonly stream: string | null },
): Promise<number> {
  let query = db
    .selectFrom('dead_letters')
    .select(({ fn }) => fn.countAll().as('open'))
    .where('organization_id', '=', scope.organizationId)
    .where('pipeline_id', '=', of.pipelineId)
    .where('resolved_at', 'is', null);
  if (of.stream !== null) query = query.where('stream', '=', of.stream);
  const row = await query.executeTakeFirstOrThrow();
  return Number(row.open);
}

/** They are, or are no longer, resolved; what is so already keeps its time. */
export async function settleDeadLetters(
  db: MetadataDb,
  scope: OrganizationScope,
  pipelineId: string,
  letters: { readonly ids: readonly string[]; readonly resolved: boolean },
): Promise<void> {
  const { ids, resolved } = letters;
  if (ids.length === 0) return;
  await db
    .updateTable('dead_letters')
    .set({ resolved_at: resolved ? timeOf() : null })
    .where('organization_id', '=', scope.organizationId)
    .where('pipeline_id', '=', pipelineId)
    .where('letter_id', 'in', ids)
    .where('resolved_at', resolved ? 'is' : 'is not', null)
    .execute();
}
