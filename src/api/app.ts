/** The HTTP application: what holds for every request stands here, what a route does in `routes/`. */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { ForebayError } from '../core/errors.ts';
import { authenticate } from './auth.ts';
import {
  FEED_SETTINGS,
  FeedPlaces,
  type FeedSettings,
  readLastEventId,
  serveFeed,
} from './feed.ts';
import { readJsonBody } from './json-body.ts';
import { perform } from './perform.ts';
import { frameworkError, PROBLEM_TYPE, problemOf, RequestError } from './problem.ts';
import { addressKey, type Limiter, type RateLimit, rateLimiter } from './rate-limit.ts';
import { readBody, readTexts } from './read-request.ts';
import {
  type ApiContext,
  type Call,
  type Caller,
  mayDo,
  PERMISSIONS,
  type Reply,
  type Route,
} from './route.ts';
import { ROUTES } from './routes/index.ts';

const BODY_BYTES = 1_048_576;
const REQUEST_MS = 60_000;
const HEADERS_MS = 15_000;

export interface ApiLimits {
  readonly perAddress: RateLimit;
  readonly perToken: RateLimit;
  /** Of addresses that try passwords and setup tokens. */
  readonly guesses: RateLimit;
}

const LIMITS: ApiLimits = {
  perAddress: { most: 3000, windowMs: 60_000 },
  perToken: { most: 1500, windowMs: 60_000 },
  guesses: { most: 10, windowMs: 60_000 },
};

export interface ApiOptions extends ApiContext {
  readonly limits?: Partial<ApiLimits>;
  readonly feeds?: Partial<FeedSettings>;
  /** Answers that are not as their schema says fail, for tests. */
  readonly checkReplies?: boolean;
}

const SECURITY_HEADERS = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cache-control': 'no-store',
} as const;

const TRACE_PARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

function traceIdOf(request: IncomingMessage): string {
  const { traceparent } = request.headers;
  const given = typeof traceparent === 'string' ? TRACE_PARENT.exec(traceparent)?.[1] : undefined;
  return given ?? randomBytes(16).toString('hex');
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?')[0] ?? '/';
}

interface Running {
  readonly options: ApiOptions;
  readonly app: FastifyInstance;
  readonly limiters: Readonly<Record<keyof ApiLimits, Limiter>>;
  readonly feedSettings: FeedSettings;
  readonly places: FeedPlaces;
  readonly stopping: AbortController;
  readonly callers: WeakMap<FastifyRequest, Caller>;
  readonly registered: { readonly pattern: RegExp; readonly method: string }[];
}

/** What a signal broke off; null where it was none. */
function interruption({ stopping }: Running, error: unknown): ForebayError | null {
  const name = error instanceof Error ? error.name : '';
  if (name !== 'AbortError' && name !== 'TimeoutError') return null;
  return stopping.signal.aborted
    ? new ForebayError('server_starting', { message: 'The server is stopping' })
    : new ForebayError('timeout', { message: 'The request took too long', cause: error });
}

function logRefusal(running: Running, failure: ForebayError, request: FastifyRequest): void {
  running.options.log.at('warn', 'request_refused', {
    trace_id: request.id,
    code: failure.code,
    method: request.method,
    path: pathOf(request),
    address: request.ip,
  });
}

function sendProblem(
  running: Running,
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
) {
  const failure = interruption(running, error) ?? frameworkError(error);
  const { status, headers, document } = problemOf(failure, request.id, pathOf(request));
  if (status >= 500) {
    running.options.log.at('error', 'request_failed', {
      trace_id: request.id,
      code: failure.code,
      message: failure.message,
      why: failure.why,
      stack: failure.cause instanceof Error ? failure.cause.stack : failure.stack,
    });
  }
  if (status === 401 || status === 403) logRefusal(running, failure, request);
  return reply
    .code(status)
    .headers({ ...SECURITY_HEADERS, ...headers })
    .type(PROBLEM_TYPE)
    .send(JSON.stringify(document));
}

function notServed(running: Running, request: FastifyRequest): RequestError {
  const path = pathOf(request);
  const methods = running.registered.filter(({ pattern }) => pattern.test(path));
  if (methods.length === 0) {
    return new RequestError('not_found', {
      message: 'There is no such address',
      fix: 'See /docs for the addresses that there are.',
    });
  }
  return new RequestError('method_not_allowed', {
    message: `The address does not take ${request.method}`,
    headers: { allow: [...new Set(methods.map(({ method }) => method))].join(', ') },
  });
}

function send(reply: FastifyReply, answer: Reply): FastifyReply {
  reply.code(answer.status).headers(answer.headers ?? {});
  if (answer.version !== undefined) reply.header('etag', `"${answer.version}"`);
  if (answer.text !== undefined) return reply.type(answer.text.type).send(answer.text.content);
  if (answer.body === undefined) return reply.send();
  return reply.type('application/json; charset=utf-8').send(`${JSON.stringify(answer.body)}\n`);
}

function checkReply(route: Route, answer: Reply): void {
  const schema = route.replies[answer.status];
  if (schema === undefined || (schema === null) !== (answer.body === undefined && !answer.text)) {
    throw new Error(`${route.operation} answers ${answer.status} as it does not say`);
  }
  if (schema !== null && typeof schema !== 'string') schema.parse(answer.body);
}

function whenGone(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) gone.abort();
  });
  return gone.signal;
}

function timeoutOf(route: Route): number {
  return route.kind === 'change' ? (route.timeoutMs ?? REQUEST_MS) : REQUEST_MS;
}

function callOf(
  running: Running,
  route: Route,
  request: FastifyRequest,
  reply: FastifyReply,
): Call<unknown, unknown, unknown> {
  // Each part has passed the schema that the route reads it with; an open route looks at no caller.
  return {
    context: running.options,
    params: readTexts('path', route.params, request.params),
    query: readTexts('query', route.query, request.query),
    body: readBody(route.body, readJsonBody(request.body, request.headers)),
    headers: request.headers,
    signal: AbortSignal.any([
      whenGone(reply),
      running.stopping.signal,
      AbortSignal.timeout(timeoutOf(route)),
    ]),
    address: request.ip,
    caller: running.callers.get(request),
  } as Call<unknown, unknown, unknown>;
}

async function openFeed(
  running: Running,
  route: Extract<Route, { readonly kind: 'read' }>,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  const call = callOf(running, route, request, reply);
  if (route.feed === undefined) throw new Error('not a feed');
  const after = readLastEventId(request.headers['last-event-id']);
  using _place = running.places.take(call.caller.tokenId);
  const feed = await route.feed(call);
  reply.hijack();
  await serveFeed(feed, after, {
    response: reply.raw,
    headers: SECURITY_HEADERS,
    signal: AbortSignal.any([whenGone(reply), running.stopping.signal]),
    settings: running.feedSettings,
    traceId: request.id,
    instance: pathOf(request),
    recheck: async () => {
      const caller = await authenticate(running.options, request.headers, request.ip);
      if (!mayDo(caller.role, route.permission)) throw new ForebayError('forbidden', forbidden);
    },
  });
}

const forbidden = { message: 'The role of the token does not allow this' };

/** Before the body is read: who may not ask is not listened to. */
async function admit(running: Running, route: Route, request: FastifyRequest): Promise<void> {
  if (route.kind === 'open') {
    if (route.guarded === true) running.limiters.guesses(addressKey(request.ip));
    return;
  }
  const caller = await authenticate(running.options, request.headers, request.ip);
  running.limiters.perToken(caller.tokenId);
  if (!mayDo(caller.role, route.permission)) throw new ForebayError('forbidden', forbidden);
  running.callers.set(request, caller);
}

function wantsFeed(route: Route, request: FastifyRequest): boolean {
  if (route.kind !== 'read' || route.feed === undefined || request.method !== 'GET') return false;
  return /(?:^|,)\s*text\/event-stream\s*(?:[,;]|$)/i.test(request.headers.accept ?? '');
}

/** A route that does not say who may use it is refused, whatever its type claims. */
export function registerRoute(running: Running, route: Route): void {
  const known = route.permission === 'public' || PERMISSIONS.includes(route.permission);
  if (!known) throw new ForebayError('internal', { message: `${route.path} has no permission` });
  const pattern = route.path.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+');
  running.registered.push({ pattern: new RegExp(`^${pattern}$`), method: route.method });
  running.app.route({
    method: route.method,
    url: route.path.replaceAll(/\{(\w+)\}/g, ':$1'),
    config: { permission: route.permission },
    onRequest: (request) => admit(running, route, request),
    handler: async (request, reply) => {
      if (route.kind === 'read' && wantsFeed(route, request)) {
        return openFeed(running, route, request, reply);
      }
      const call = callOf(running, route, request, reply);
      if (route.kind === 'open' && route.guessed !== undefined) {
        running.limiters.guesses(`account:${route.guessed(call.body)}`);
      }
      const answer = await perform(route, call, pathOf(request));
      if (running.options.checkReplies === true) checkReply(route, answer);
      return send(reply, answer);
    },
  });
}

declare module 'fastify' {
  interface FastifyContextConfig {
    permission?: string;
  }
}

/** What Node refuses before there is a request. */
function refuseUnreadable(error: Error & { readonly code?: string }, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const status =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? 431
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? 408
        : 400;
  const refusal = new RequestError('request_invalid', {
    message: 'The request is no HTTP that can be read',
    status,
  });
  const { document } = problemOf(refusal, randomBytes(16).toString('hex'), '/');
  const body = JSON.stringify(document);
  socket.end(
    [
      `HTTP/1.1 ${status} ${document.title}`,
      `content-type: ${PROBLEM_TYPE}`,
      `content-length: ${Buffer.byteLength(body)}`,
      'connection: close',
      '',
      body,
    ].join('\r\n'),
  );
}

function newFastify(
  refuse: (error: unknown, request: FastifyRequest, reply: FastifyReply) => void,
) {
  return fastify({
    logger: false,
    bodyLimit: BODY_BYTES,
    requestTimeout: REQUEST_MS,
    connectionTimeout: 0,
    keepAliveTimeout: 5000,
    http: { headersTimeout: HEADERS_MS, maxHeaderSize: 16_384 },
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    trustProxy: false,
    genReqId: traceIdOf,
    frameworkErrors: refuse,
    clientErrorHandler: refuseUnreadable,
    routerOptions: { maxParamLength: 500 },
  });
}

function addHooks(running: Running): void {
  const { app, limiters, stopping } = running;
  app.removeAllContentTypeParsers();
  // One parser for all types: which type may be read is decided once, when it is.
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(SECURITY_HEADERS).header('x-request-id', request.id);
    if (stopping.signal.aborted) {
      throw new ForebayError('server_starting', { message: 'The server is stopping' });
    }
    limiters.perAddress(addressKey(request.ip));
  });
  app.addHook('onRoute', ({ config, path }) => {
    if (config?.permission === undefined) {
      throw new ForebayError('internal', { message: `${path} has no permission` });
    }
  });
  app.addHook('preClose', async () => stopping.abort());
}

/** Ready to listen, or to be asked by `inject`. */
export function createApp(options: ApiOptions, routes: readonly Route[] = ROUTES): FastifyInstance {
  const limits = { ...LIMITS, ...options.limits };
  const feedSettings = { ...FEED_SETTINGS, ...options.feeds };
  const app = newFastify((error, request, reply) => {
    sendProblem(running, error, request, reply);
  });
  const running: Running = {
    options,
    app,
    limiters: {
      perAddress: rateLimiter(limits.perAddress),
      perToken: rateLimiter(limits.perToken),
      guesses: rateLimiter(limits.guesses),
    },
    feedSettings,
    places: new FeedPlaces(feedSettings),
    stopping: new AbortController(),
    callers: new WeakMap(),
    registered: [],
  };
  addHooks(running);
  app.setErrorHandler((error, request, reply) => sendProblem(running, error, request, reply));
  app.setNotFoundHandler((request, reply) =>
    sendProblem(running, notServed(running, request), request, reply),
  );
  for (const route of routes) registerRoute(running, route);
  return app;
}
