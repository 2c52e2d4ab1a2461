/** One POST to an address that somebody configured. Goes nowhere else: redirects are not followed. */
import { Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import type { LookupFunction } from 'node:net';
import { type EgressPolicy, guardedLookup, refuseLiteral } from '../egress.ts';

const TIMEOUT_MS = 10_000;
const MOST_SOCKETS = 4;

export interface PostReply {
  readonly status: number;
  /** How long the receiver asks to be left alone; null where it says nothing. */
  readonly retryAfterMs: number | null;
}

export interface PostRequest {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly signal: AbortSignal;
}

export interface HttpPost extends Disposable {
  readonly send: (request: PostRequest) => Promise<PostReply>;
}

function retryAfterMs({ headers }: IncomingMessage): number | null {
  const header = headers['retry-after'];
  if (header === undefined) return null;
  const ms = /^\d{1,9}$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : null;
}

export interface PostTarget {
  readonly url: string;
  readonly policy: EgressPolicy;
  readonly timeoutMs?: number;
  /** Left out: the system's names. */
  readonly lookup?: LookupFunction;
}

export function createHttpPost(target: PostTarget): HttpPost {
  const { url, policy, timeoutMs = TIMEOUT_MS, lookup = guardedLookup(policy) } = target;
  const { protocol, hostname } = new URL(url);
  const isTls = protocol === 'https:';
  const options = { keepAlive: true, maxSockets: MOST_SOCKETS };
  const agent = isTls ? new HttpsAgent(options) : new HttpAgent(options);
  const start = isTls ? requestHttps : requestHttp;
  const send = async ({ headers, body, signal }: PostRequest): Promise<PostReply> => {
    refuseLiteral(policy, hostname);
    const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    return await new Promise<PostReply>((resolve, reject) => {
      const length = String(Buffer.byteLength(body));
      const request = start(url, {
        method: 'POST',
        agent,
        lookup,
        signal: limit,
        headers: { ...headers, 'content-length': length, 'user-agent': 'forebay' },
      });
      // What ended it is in the signal.
      request.on('error', (error) => reject(limit.aborted ? limit.reason : error));
      request.on('response', (response) => {
        const reply = { status: response.statusCode ?? 0, retryAfterMs: retryAfterMs(response) };
        // What stands in it interests nobody, and may never end: the status alone counts.
        const socketMayStay = Number(response.headers['content-length'] ?? Infinity) <= 65_536;
        if (socketMayStay) response.on('error', () => {}).resume();
        else response.destroy();
        resolve(reply);
      });
      request.end(body);
    });
  };
  return { send, [Symbol.dispose]: () => agent.destroy() };
}
