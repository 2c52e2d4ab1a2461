/**
 * Which engines live. Each beats; whoever sees that another one's count stands still for the lease takes its runs away.
 * Only durations of one's own steady clock are compared, so that clocks of machines may differ.
 */
import { uuidv7 } from '../../core/uuid.ts';
import type { MetadataDb } from '../../metadata/database.ts';
import { AT_ONCE } from './journal-commit.ts';

interface Seen {
  readonly beats: number;
  readonly sinceMs: number;
}

export async function register(db: MetadataDb, nowMs: number): Promise<string> {
  const id = uuidv7(nowMs);
  const started = new Date(nowMs).toISOString();
  await db.insertInto('journal_engines').values({ id, beats: 0, started_at: started }).execute();
  return id;
}

/** For an engine that is alone on its database: whoever was there before is gone. */
export async function forgetOthers(db: MetadataDb, id: string): Promise<void> {
  await db.deleteFrom('journal_engines').where('id', '!=', id).execute();
  await freeOrphans(db);
}

export async function unregister(db: MetadataDb, id: string): Promise<void> {
  await db.deleteFrom('journal_engines').where('id', '=', id).execute();
  await freeOrphans(db);
}

/** Runs whose owner is gone can be claimed. */
async function freeOrphans(db: MetadataDb): Promise<boolean> {
  const freed = await db
    .updateTable('journal_runs')
    .set({ owner: null, wake_at: AT_ONCE })
    .where('status', '=', 'running')
    .where('owner', 'is not', null)
    .where('owner', 'not in', (eb) => eb.selectFrom('journal_engines').select('id'))
    .executeTakeFirst();
  return freed.numUpdatedRows > 0n;
}

export class Lease {
  readonly #db: MetadataDb;
  readonly #leaseMs: number;
  readonly #seen = new Map<string, Seen>();

  constructor(db: MetadataDb, leaseMs: number) {
    this.#db = db;
    this.#leaseMs = leaseMs;
  }

  /** False where the others take this engine for dead. */
  async beat(id: string): Promise<boolean> {
    const beaten = await this.#db
      .updateTable('journal_engines')
      .set((eb) => ({ beats: eb('beats', '+', 1) }))
      .where('id', '=', id)
      .executeTakeFirst();
    return beaten.numUpdatedRows > 0n;
  }

  /** Whether runs became free. */
  async takeFromDead(own: string): Promise<boolean> {
    const engines = await this.#db.selectFrom('journal_engines').select(['id', 'beats']).execute();
    const nowMs = performance.now();
    for (const id of this.#seen.keys())
      if (!engines.some((engine) => engine.id === id)) this.#seen.delete(id);
    for (const { id, beats } of engines) {
      const seen = this.#seen.get(id);
      if (seen?.beats !== beats) this.#seen.set(id, { beats, sinceMs: nowMs });
      else if (id !== own && nowMs - seen.sinceMs > this.#leaseMs)
        await this.#db
          .deleteFrom('journal_engines')
          .where('id', '=', id)
          .where('beats', '=', beats)
          .execute();
    }
    return freeOrphans(this.#db);
  }
}
