/** What each publisher still has to send. Over all organisations: a publisher belongs to the server. */
import { type Kysely, sql } from 'kysely';
import type { MetadataDb } from './database.ts';
import type { OutboxEvent } from './events-outbox.ts';
import type { MetadataTables, Time } from './tables.ts';
import { inTransaction, lockUntilCommit, type MetadataTransaction, timeOf } from './transaction.ts';

const TAKEN_IN_AT_ONCE = 1000;

/**
 * From now on the publisher gets what is written. Once is enough; again changes nothing. Without it a publisher gets
 * all that the outbox has.
 */
export function registerPublisher(db: MetadataDb, publisher: string): Promise<void> {
  return inTransaction(db, async (transaction) => {
    await lockUntilCommit(transaction, lockOf(publisher));
    if ((await newestTaken(transaction, publisher)) > 0) return;
    const last = await transaction
      .selectFrom('events_outbox')
      .select((select) => select.fn.max('id').as('id'))
      .executeTakeFirst();
    if (last === undefined || last.id === null) return;
    await transaction
      .insertInto('event_deliveries')
      .values({
        outbox_id: last.id,
        publisher,
        attempts: 0,
        next_attempt_at: null,
        delivered_at: timeOf(),
        last_error: null,
      })
      .execute();
  });
}

const lockOf = (publisher: string): string => `deliveries:${publisher}`;

async function newestTaken(db: Kysely<MetadataTables>, publisher: string): Promise<number> {
  const row = await db
    .selectFrom('event_deliveries')
    .select('outbox_id')
    .where('publisher', '=', publisher)
    .orderBy('outbox_id', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row?.outbox_id ?? 0;
}

export interface Delivery {
  readonly event: OutboxEvent;
  /** How often it was tried, with this time. */
  readonly attempts: number;
}

/**
 * What is due, oldest first. It is the caller's until `leaseMs` have passed: what it neither settles nor postpones
 * until then is due again.
 */
export function takeDeliveries(
  db: MetadataDb,
  take: {
    readonly publisher: string;
    readonly limit: number;
    readonly leaseMs: number;
    readonly nowMs?: number;
  },
): Promise<Delivery[]> {
  const { publisher, limit, leaseMs, nowMs = Date.now() } = take;
  return inTransaction(db, async (transaction) => {
    await lockUntilCommit(transaction, lockOf(publisher));
    await takeIn(transaction, publisher, nowMs);
    const due = await transaction
      .selectFrom('event_deliveries')
      .innerJoin('events_outbox', 'events_outbox.id', 'event_deliveries.outbox_id')
      .selectAll('events_outbox')
      .select('attempts')
      .where('publisher', '=', publisher)
      .where('next_attempt_at', '<=', timeOf(nowMs))
      .orderBy('next_attempt_at')
      .orderBy('outbox_id')
      .limit(limit)
      .execute();
    if (due.length === 0) return [];
    await transaction
      .updateTable('event_deliveries')
      .set({ attempts: sql`attempts + 1`, next_attempt_at: timeOf(nowMs + leaseMs) })
      .where('publisher', '=', publisher)
      .where(
        'outbox_id',
        'in',
        due.map(({ id }) => id),
      )
      .execute();
    return due.map(({ attempts, ...event }) => ({ event, attempts: attempts + 1 }));
  });
}

/** Events that came since: due at once. */
async function takeIn(
  transaction: MetadataTransaction,
  publisher: string,
  nowMs: number,
): Promise<void> {
  const after = await newestTaken(transaction, publisher);
  await sql`
    insert into event_deliveries (outbox_id, publisher, attempts, next_attempt_at)
    select id, ${publisher}, 0, ${timeOf(nowMs)} from events_outbox
    where id > ${after} order by id limit ${sql.lit(TAKEN_IN_AT_ONCE)}
  `.execute(transaction);
}

export async function settleDelivery(
  db: MetadataDb,
  delivery: { readonly publisher: string; readonly outboxId: number },
): Promise<void> {
  await db
    .updateTable('event_deliveries')
    .set({ delivered_at: timeOf(), next_attempt_at: null, last_error: null })
    .where('publisher', '=', delivery.publisher)
    .where('outbox_id', '=', delivery.outboxId)
    .execute();
}

/** Null as next attempt gives it up. */
export async function postponeDelivery(
  db: MetadataDb,
  delivery: {
    readonly publisher: string;
    readonly outboxId: number;
    readonly error: string;
    readonly nextAttemptAt: Time | null;
  },
): Promise<void> {
  await db
    .updateTable('event_deliveries')
    .set({ next_attempt_at: delivery.nextAttemptAt, last_error: delivery.error })
    .where('publisher', '=', delivery.publisher)
    .where('outbox_id', '=', delivery.outboxId)
    .where('delivered_at', 'is', null)
    .execute();
}

/** Removes old events that no publisher still has to send. Says how many. */
export function forgetEvents(db: MetadataDb, before: Time): Promise<number> {
  return inTransaction(db, async (transaction) => {
    const { numDeletedRows } = await transaction
      .deleteFrom('events_outbox')
      .where('created_at', '<', before)
      .where(
        sql<boolean>`not exists (select 1 from event_deliveries where outbox_id = events_outbox.id and next_attempt_at is not null)`,
      )
      .executeTakeFirst();
    // The newest one of a publisher tells how far it has come.
    await sql`
      delete from event_deliveries
      where outbox_id not in (select id from events_outbox)
        and outbox_id < (
          select max(newest.outbox_id) from event_deliveries as newest
          where newest.publisher = event_deliveries.publisher
        )
    `.execute(transaction);
    return Number(numDeletedRows);
  });
}
