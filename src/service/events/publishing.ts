/** Carries events from the outbox to one publisher, whatever becomes of the others. */
import { setTimeout as delay } from 'node:timers/promises';
import type { MetadataDb } from '../../metadata/database.ts';
import {
  type Delivery,
  postponeDelivery,
  registerPublisher,
  settleDelivery,
  takeDeliveries,
} from '../../metadata/event-deliveries.ts';
import type { OutboxEvent } from '../../metadata/events-outbox.ts';
import { timeOf } from '../../metadata/transaction.ts';
import type { Log } from '../log.ts';
import { GIVEN_UP_AFTER_MS, waitMs } from './backoff.ts';
import { outcomeOfFailure, type Publisher, type SendOutcome } from './publisher.ts';

export interface PublishingOptions {
  readonly db: MetadataDb;
  readonly publisher: Publisher;
  readonly log: Log;
  /** How often it is looked for news. */
  readonly pollMs?: number;
  /** How long what is under way may take when it is stopped. */
  readonly graceMs?: number;
  readonly wait?: typeof waitMs;
  readonly now?: () => number;
}

const TAKEN_AT_ONCE = 10;
/** Whatever a client does meanwhile. */
const SEND_MS = 30_000;
/** Longer than that many sends may take. */
const LEASE_MS = (TAKEN_AT_ONCE + 2) * SEND_MS;
const DEFAULTS = { pollMs: 500, graceMs: 3000, wait: waitMs, now: Date.now };

type Later = Extract<SendOutcome, { kind: 'later' }>;
type Ended = 'go-on' | 'down' | 'disabled';

/** Clients of brokers take no signal: they are left to themselves, and closed at the end. */
async function sendWithin(
  publisher: Publisher,
  event: OutboxEvent,
  signal: AbortSignal,
): Promise<SendOutcome> {
  const ended = Promise.withResolvers<SendOutcome>();
  const end = (): void => ended.resolve(outcomeOfFailure(signal.reason));
  signal.addEventListener('abort', end, { once: true });
  if (signal.aborted) end();
  try {
    const sent = publisher.send(event, signal).catch(outcomeOfFailure);
    return await Promise.race([sent, ended.promise]);
  } finally {
    signal.removeEventListener('abort', end);
  }
}

class Publishing {
  readonly #options: Required<PublishingOptions>;
  readonly #log: Log;
  readonly #stopping = new AbortController();
  readonly #giveUp = new AbortController();
  /** Failures in a row, each of which said that nothing gets through. */
  #down = 0;
  #faults = 0;
  #pauseMs = 0;

  constructor(options: PublishingOptions) {
    this.#options = { ...DEFAULTS, ...options };
    this.#log = options.log.child({ publisher: options.publisher.id });
  }

  /** Until it is stopped or the receiver wants no more. */
  async run(): Promise<void> {
    const { signal } = this.#stopping;
    let isRegistered = false;
    while (!signal.aborted) {
      try {
        // What happened before it was there is not for it.
        if (!isRegistered) await registerPublisher(this.#options.db, this.#options.publisher.id);
        isRegistered = true;
        if ((await this.#round()) === 'disabled') return;
        this.#faults = 0;
      } catch (error) {
        this.#faults += 1;
        const reason = error instanceof Error ? error.message : String(error);
        this.#log.at('error', 'event_publishing_fault', { reason });
        await this.#pause(this.#waitMs(this.#faults, null));
      }
    }
  }

  /** What is due; then it waits for more. */
  async #round(): Promise<Ended> {
    const { db, publisher, pollMs, now } = this.#options;
    const limit = this.#down > 0 ? 1 : TAKEN_AT_ONCE;
    const due = await takeDeliveries(db, {
      publisher: publisher.id,
      limit,
      leaseMs: LEASE_MS,
      nowMs: now(),
    });
    for (const [index, delivery] of due.entries()) {
      const ended = this.#stopping.signal.aborted ? 'down' : await this.#deliver(delivery);
      if (ended === 'go-on') continue;
      // Those that were taken with it and not tried are due at once, if anybody gets to them.
      const untried = due.slice(this.#stopping.signal.aborted ? index : index + 1);
      for (const { event } of untried) await this.#postpone(event.id, 'not tried', now());
      if (ended === 'down') await this.#pause(this.#pauseMs);
      return ended;
    }
    if (due.length < limit) await this.#pause(pollMs);
    return 'go-on';
  }

  async #deliver(delivery: Delivery): Promise<Ended> {
    const { db, publisher } = this.#options;
    const { event, attempts } = delivery;
    const signal = AbortSignal.any([this.#giveUp.signal, AbortSignal.timeout(SEND_MS)]);
    const outcome = await sendWithin(publisher, event, signal);
    const fields = { eventId: event.event_id, attempts };
    switch (outcome.kind) {
      case 'delivered':
        await settleDelivery(db, { publisher: publisher.id, outboxId: event.id });
        if (this.#down > 0) this.#log.at('info', 'event_publisher_back', fields);
        this.#down = 0;
        return 'go-on';
      case 'disabled':
        await this.#postpone(event.id, outcome.error, this.#options.now());
        this.#log.at('error', 'event_publisher_disabled', { ...fields, reason: outcome.error });
        return 'disabled';
      case 'later':
        return await this.#later(delivery, outcome);
    }
  }

  async #later({ event, attempts }: Delivery, outcome: Later): Promise<Ended> {
    const { now } = this.#options;
    const { error, isDown, retryAfterMs } = outcome;
    const fields = { eventId: event.event_id, attempts, reason: error };
    if (now() - Date.parse(event.created_at) > GIVEN_UP_AFTER_MS) {
      await this.#postpone(event.id, error, null);
      this.#log.at('error', 'event_given_up', fields);
    } else {
      const wait = this.#waitMs(attempts, retryAfterMs);
      await this.#postpone(event.id, error, now() + wait);
      this.#log.at('warn', 'event_postponed', { ...fields, waitMs: wait });
    }
    if (!isDown) return 'go-on';
    this.#down += 1;
    this.#pauseMs = this.#waitMs(this.#down, retryAfterMs);
    return 'down';
  }

  #waitMs(attempts: number, retryAfterMs: number | null): number {
    return this.#options.wait({ attempts, retryAfterMs, random: Math.random() });
  }

  async #postpone(outboxId: number, error: string, atMs: number | null): Promise<void> {
    const { db, publisher } = this.#options;
    const nextAttemptAt = atMs === null ? null : timeOf(atMs);
    await postponeDelivery(db, { publisher: publisher.id, outboxId, error, nextAttemptAt });
  }

  async #pause(ms: number): Promise<void> {
    const { signal } = this.#stopping;
    // Being stopped ends the wait; that is no failure.
    await delay(ms, undefined, { signal }).catch(() => {});
  }

  stop(): void {
    this.#stopping.abort();
    const timer = setTimeout(() => this.#giveUp.abort(), this.#options.graceMs);
    timer.unref();
  }
}

/** Runs until it is disposed of, which waits for what is under way and closes the publisher. */
export function startPublishing(options: PublishingOptions): AsyncDisposable {
  const publishing = new Publishing(options);
  const ended = publishing.run();
  return {
    async [Symbol.asyncDispose]() {
      publishing.stop();
      await ended;
      await options.publisher[Symbol.asyncDispose]();
    },
  };
}
