/** Events are written with the change that they tell of; publishers take them from here. */
import { uuidv7 } from '../core/uuid.ts';
import type { MetadataDb } from './database.ts';
import type { OrganizationScope } from './scope.ts';
import type { EventsOutboxTable, Json } from './tables.ts';
import { lockUntilCommit, type MetadataTransaction, timeOf } from './transaction.ts';

/** Of CloudEvents 1.0: the rest is the same for all. */
export interface NewEvent {
  readonly type: string;
  readonly subject: string;
  readonly data: Json;
}

export type OutboxEvent = Omit<EventsOutboxTable, 'id'> & { readonly id: number };

/** Events are numbered in the order in which they become visible: who reads after an id misses none. */
const LOCK = 'events-outbox';

/** As late in the transaction as can be: whoever writes events waits for its end. */
export async function appendEvents(
  transaction: MetadataTransaction,
  scope: OrganizationScope,
  events: readonly NewEvent[],
): Promise<void> {
  if (events.length === 0) return;
  await lockUntilCommit(transaction, LOCK);
  await transaction
    .insertInto('events_outbox')
    .values(
      events.map(({ type, subject, data }) => ({
        type,
        subject,
        data,
        organization_id: scope.organizationId,
        event_id: uuidv7(),
        created_at: timeOf(),
      })),
    )
    .execute();
}

/** Oldest first, after the id of the last one that was read (0 for the start). */
export function readEvents(
  db: MetadataDb,
  scope: OrganizationScope,
  page: { readonly after: number; readonly limit: number },
): Promise<OutboxEvent[]> {
  return db
    .selectFrom('events_outbox')
    .selectAll()
    .where('organization_id', '=', scope.organizationId)
    .where('id', '>', page.after)
    .orderBy('id')
    .limit(page.limit)
    .execute();
}

/** Where who wants only what comes from now on begins. */
export async function lastEventId(db: MetadataDb, scope: OrganizationScope): Promise<number> {
  const row = await db
    .selectFrom('events_outbox')
    .select('id')
    .where('organization_id', '=', scope.organizationId)
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row?.id ?? 0;
}

/** Of the event with this CloudEvents id (a reader's last one); null where it is not there (any more). */
export async function outboxIdOf(
  db: MetadataDb,
  scope: OrganizationScope,
  eventId: string,
): Promise<number | null> {
  const row = await db
    .selectFrom('events_outbox')
    .select('id')
    .where('organization_id', '=', scope.organizationId)
    .where('event_id', '=', eventId)
    .executeTakeFirst();
  return row?.id ?? null;
}
