/** Live feeds: server-sent events that are read from the database as fast as the asker takes them. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { asForebayError } from '../core/errors.ts';
import { fieldError, problemOf, RequestError } from './problem.ts';
import type { Feed } from './route.ts';

export interface FeedSettings {
  readonly pollMs: number;
  /** A comment keeps proxies from taking silence for the end. */
  readonly heartbeatMs: number;
  /** How often it is looked whether the asker may still read. */
  readonly recheckMs: number;
  readonly mostPerToken: number;
  readonly most: number;
}

export const FEED_SETTINGS: FeedSettings = {
  pollMs: 500,
  heartbeatMs: 15_000,
  recheckMs: 30_000,
  mostPerToken: 10,
  most: 200,
};

const EVENT_ID = /^\d{1,15}$/;

export function readLastEventId(header: string | string[] | undefined): string | null {
  if (header === undefined || header === '') return null;
  if (typeof header === 'string' && EVENT_ID.test(header)) return header;
  throw fieldError('header', '/last-event-id', 'is no id that this feed gave out');
}

/** How many feeds are open, by token. */
export class FeedPlaces {
  readonly #settings: FeedSettings;
  readonly #byToken = new Map<string, number>();
  #all = 0;

  constructor(settings: FeedSettings) {
    this.#settings = settings;
  }

  take(tokenId: string): Disposable {
    const own = this.#byToken.get(tokenId) ?? 0;
    if (own >= this.#settings.mostPerToken || this.#all >= this.#settings.most) {
      throw new RequestError('too_many_requests', {
        message: `${own} live feeds are open by this token, and ${this.#all} in all`,
        headers: { 'retry-after': '10' },
      });
    }
    this.#byToken.set(tokenId, own + 1);
    this.#all += 1;
    return { [Symbol.dispose]: () => this.#leave(tokenId) };
  }

  #leave(tokenId: string): void {
    const left = (this.#byToken.get(tokenId) ?? 1) - 1;
    if (left === 0) this.#byToken.delete(tokenId);
    else this.#byToken.set(tokenId, left);
    this.#all -= 1;
  }
}

export interface Follower {
  readonly response: ServerResponse;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  readonly settings: FeedSettings;
  readonly traceId: string;
  readonly instance: string;
  /** Fails where the asker may read no longer. */
  readonly recheck: () => Promise<void>;
}

async function send(follower: Follower, text: string): Promise<void> {
  if (!follower.response.write(text)) {
    await once(follower.response, 'drain', { signal: follower.signal });
  }
}

/** Ends when the feed ends, the asker goes, or the signal comes. */
async function follow(feed: Feed, after: string | null, follower: Follower): Promise<void> {
  const { signal, settings } = follower;
  let last = after;
  let silentSinceMs = performance.now();
  let checkedAtMs = silentSinceMs;
  await send(follower, 'retry: 2000\n\n');
  while (!signal.aborted) {
    const page = await feed.next(last);
    for (const { id, event, data } of page.events) {
      await send(follower, `id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
      last = id;
      silentSinceMs = performance.now();
    }
    if (page.ended) return await send(follower, 'event: end\ndata: {}\n\n');
    if (performance.now() - checkedAtMs >= settings.recheckMs) {
      await follower.recheck();
      checkedAtMs = performance.now();
    }
    if (page.events.length > 0) continue;
    if (performance.now() - silentSinceMs >= settings.heartbeatMs) {
      await send(follower, ': still here\n\n');
      silentSinceMs = performance.now();
    }
    await wait(settings.pollMs, undefined, { signal });
  }
}

/** The response is the feed's alone from here. */
export async function serveFeed(
  feed: Feed,
  after: string | null,
  follower: Follower,
): Promise<void> {
  const { response, signal } = follower;
  response.writeHead(200, {
    ...follower.headers,
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  try {
    await follow(feed, after, follower);
  } catch (error) {
    if (!signal.aborted) {
      const { document } = problemOf(asForebayError(error), follower.traceId, follower.instance);
      response.write(`event: error\ndata: ${JSON.stringify(document)}\n\n`);
    }
  } finally {
    response.end();
  }
}
