/** Takes away what nobody asks for any more. */
import type { MetadataDb } from '../../metadata/database.ts';
import { forgetEvents } from '../../metadata/event-deliveries.ts';
import { forgetIdempotencyKeys } from '../../metadata/idempotency-keys.ts';
import { timeOf } from '../../metadata/transaction.ts';

const EVERY_MS = 10 * 60_000;
const DAY_MS = 86_400_000;
/** As long as somebody who lost an answer may ask again. */
const KEYS_MS = DAY_MS;
const EVENTS_MS = 30 * DAY_MS;

export function startHousekeeping(
  db: MetadataDb,
  onFault: (error: unknown) => void,
): AsyncDisposable {
  let working: Promise<void> = Promise.resolve();
  const clean = async (): Promise<void> => {
    const now = Date.now();
    await forgetIdempotencyKeys(db, timeOf(now - KEYS_MS));
    await forgetEvents(db, timeOf(now - EVENTS_MS));
  };
  const timer = setInterval(() => {
    working = clean().catch(onFault);
  }, EVERY_MS);
  return {
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer);
      await working;
    },
  };
}
