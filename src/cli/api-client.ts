/** The API of a server, read with the schemas that the server describes it by. */
import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import type { z } from 'zod';
import { ForebayError } from '../core/errors.ts';
import { parseJson, problemError, transportError, unreadable } from './client/api-failure.ts';
import type { Target } from './client/server-address.ts';

/** The longest of the usual routes, testing a connection, gives up after a minute. */
const ANSWER_MS = 90_000;
const MOST_TRIES = 4;
const LONGEST_WAIT_MS = 30_000;
const FIRST_WAIT_MS = 250;
const PAGE = 200;

type Query = Readonly<Record<string, string | number | undefined>>;

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly query?: Query;
  readonly body?: unknown;
  /** The version that is changed, for If-Match. */
  readonly version?: number;
  /** For what must not be sent twice: it is not tried again. */
  readonly once?: true;
}

function retryAfterMs(headers: Headers): number | null {
  const seconds = /^\d{1,6}$/.exec(headers.get('retry-after') ?? '');
  return seconds === null ? null : Number(seconds[0]) * 1000;
}

export class ApiClient {
  readonly server: string;
  readonly signal: AbortSignal;
  readonly #target: Target;

  constructor(target: Target, signal: AbortSignal) {
    this.#target = target;
    this.server = target.server;
    this.signal = signal;
  }

  get<S extends z.ZodType>(schema: S, path: string, query?: Query): Promise<z.output<S>> {
    return this.request(schema, { method: 'GET', path, ...(query === undefined ? {} : { query }) });
  }

  post<S extends z.ZodType>(schema: S, path: string, body?: unknown): Promise<z.output<S>> {
    return this.request(schema, { method: 'POST', path, body });
  }

  async request<S extends z.ZodType>(schema: S, request: ApiRequest): Promise<z.output<S>> {
    const text = await this.#answer(request);
    // Null stands for an answer without a body.
    const read = schema.safeParse(text === '' ? null : parseJson(text));
    if (read.success) return read.data;
    const [issue] = read.error.issues;
    const where = issue === undefined || issue.path.length === 0 ? '' : `${issue.path.join('.')}: `;
    const what = `answered ${request.method} ${request.path} in another form than this release reads`;
    throw unreadable(this.server, what, `${where}${issue?.message ?? ''}`);
  }

  async delete(path: string, version: number): Promise<void> {
    await this.#answer({ method: 'DELETE', path, version });
  }

  /** All entries of a list, page by page; `most` limits them. */
  async list<Page extends { readonly next_cursor: string | null }, Row>(
    schema: z.ZodType<Page>,
    list: { readonly path: string; readonly query?: Query; readonly most?: number },
    rowsOf: (page: Page) => readonly Row[],
  ): Promise<readonly Row[]> {
    const most = list.most ?? Number.POSITIVE_INFINITY;
    const rows: Row[] = [];
    const seen = new Set<string>();
    for (let cursor: string | undefined; ;) {
      const query = { ...list.query, limit: Math.min(PAGE, most - rows.length), cursor };
      const page = await this.get(schema, list.path, query);
      rows.push(...rowsOf(page).slice(0, most - rows.length));
      if (page.next_cursor === null || rows.length >= most) return rows;
      if (seen.has(page.next_cursor)) {
        throw unreadable(this.server, `gives the same page of ${list.path} again and again`);
      }
      seen.add(page.next_cursor);
      cursor = page.next_cursor;
    }
  }

  /** The live feed of a path, as it comes; fails where the server refuses it. */
  async feed(path: string, after: string | null, signal: AbortSignal): Promise<Response> {
    const headers = this.#headers({
      accept: 'text/event-stream',
      ...(after === null ? {} : { 'last-event-id': after }),
    });
    const response = await this.#fetch(new URL(`${this.server}${path}`), { headers, signal });
    if (!response.ok) throw await this.#refusal(response);
    const type = response.headers.get('content-type') ?? '';
    if (!type.startsWith('text/event-stream')) {
      throw unreadable(this.server, `gives no live feed at ${path}`);
    }
    return response;
  }

  #headers(more: Readonly<Record<string, string>>): Record<string, string> {
    const { token } = this.#target;
    return { ...(token === null ? {} : { authorization: `Bearer ${token.reveal()}` }), ...more };
  }

  /** The same request each time: the server knows a POST again by its key. */
  async #answer(request: ApiRequest): Promise<string> {
    const key = randomUUID();
    for (let tried = 1; ; tried += 1) {
      try {
        return await this.#send(request, key);
      } catch (error) {
        const pauseMs = pauseBefore(request, tried, error);
        if (pauseMs === null) throw error;
        await wait(pauseMs, undefined, { signal: this.signal });
      }
    }
  }

  async #send(request: ApiRequest, key: string): Promise<string> {
    const { method, path, query = {}, body, version } = request;
    const url = new URL(`${this.server}${path}`);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    const headers = this.#headers({
      accept: 'application/json',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(version === undefined ? {} : { 'if-match': `"${version}"` }),
      ...(method === 'POST' && request.once !== true ? { 'idempotency-key': key } : {}),
    });
    const signal = AbortSignal.any([this.signal, AbortSignal.timeout(ANSWER_MS)]);
    const sent = body === undefined ? {} : { body: JSON.stringify(body) };
    const response = await this.#fetch(url, { method, headers, signal, ...sent });
    if (!response.ok) throw await this.#refusal(response, request.once === true);
    return await this.#text(response);
  }

  /** A redirect is not followed: the token is for this server. */
  async #fetch(url: URL, options: RequestInit): Promise<Response> {
    const response = await fetch(url, { ...options, redirect: 'manual' }).catch(
      (error: unknown) => {
        throw this.#failure(error);
      },
    );
    if (response.status >= 300 && response.status < 400) {
      await response.body?.cancel();
      const to = response.headers.get('location') ?? 'elsewhere';
      throw unreadable(this.server, `sends on to ${to}`);
    }
    return response;
  }

  async #text(response: Response): Promise<string> {
    try {
      return await response.text();
    } catch (error) {
      throw this.#failure(error);
    }
  }

  async #refusal(response: Response, isLogin = false): Promise<ForebayError> {
    const text = await this.#text(response);
    const { status, headers } = response;
    const after = retryAfterMs(headers);
    return problemError(this.server, { status, text, retryAfterMs: after, isLogin });
  }

  #failure(error: unknown): unknown {
    return this.signal.aborted ? error : transportError(this.server, error);
  }
}

/** Null where it is not tried again: what may have been done and cannot be recognised, or will not change. */
function pauseBefore(request: ApiRequest, tried: number, error: unknown): number | null {
  if (!(error instanceof ForebayError) || request.once === true || tried >= MOST_TRIES) return null;
  const isRefused = error.retryAfterMs !== null;
  const isLost = error.code === 'connection_lost';
  const isRepeatable = request.method === 'GET' || request.method === 'POST';
  if (!isRefused && !(isLost && isRepeatable)) return null;
  const pauseMs = error.retryAfterMs ?? FIRST_WAIT_MS * 2 ** (tried - 1);
  return pauseMs <= LONGEST_WAIT_MS ? pauseMs : null;
}
