/** The HTTP application: what holds for every request stands here, what a route does in `routes/`. */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { ForebayError } from '../core/errors.ts';
import { FEED_SETTINGS, FeedPlaces } from './feed.ts';
import { addressKey, rateLimiter } from './rate-limit.ts';
import { notServed, refuseExpectation, refuseUnreadable, sendProblem } from './refusal.ts';
import type { Route } from './route.ts';
import { ROUTES } from './routes/index.ts';
import { type ApiOptions, LIMITS, type Running, SECURITY_HEADERS } from './running.ts';
import { registerRoute } from './serve-route.ts';

export const BODY_BYTES = 1_048_576;
const REQUEST_MS = 60_000;
const HEADERS_MS = 15_000;

const TRACE_PARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

function traceIdOf(request: IncomingMessage): string {
  const { traceparent } = request.headers;
  const given = typeof traceparent === 'string' ? TRACE_PARENT.exec(traceparent)?.[1] : undefined;
  return given ?? randomBytes(16).toString('hex');
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
    // Before Fastify looks at the body, or demands one.
    if (request.is404) throw notServed(running, request);
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
  app.server.on('checkExpectation', refuseExpectation);
  app.setErrorHandler((error, request, reply) => sendProblem(running, error, request, reply));
  app.setNotFoundHandler((request, reply) =>
    sendProblem(running, notServed(running, request), request, reply),
  );
  for (const route of routes) registerRoute(running, route);
  return app;
}
