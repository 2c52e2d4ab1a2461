/** From a request to what a route makes of it. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ForebayError } from '../core/errors.ts';
import { authenticate } from './auth.ts';
import { readLastEventId, serveFeed } from './feed.ts';
import { readJsonBody } from './json-body.ts';
import { perform } from './perform.ts';
import { addressKey } from './rate-limit.ts';
import { readBody, readTexts } from './read-request.ts';
import { type Call, mayDo, PERMISSIONS, type Reply, type Route } from './route.ts';
import { pathOf, type Running, SECURITY_HEADERS } from './running.ts';

const REQUEST_MS = 60_000;

declare module 'fastify' {
  interface FastifyContextConfig {
    permission?: string;
  }
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
    signal: () =>
      AbortSignal.any([
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
  const { method, path } = route;
  running.registered.push({ pattern: new RegExp(`^${pattern}$`), method, path });
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
      if (route.kind === 'read' && route.feed !== undefined) {
        readLastEventId(request.headers['last-event-id']);
      }
      if (route.kind === 'open' && route.guessed !== undefined) {
        running.limiters.guesses(`account:${route.guessed(call.body)}`);
      }
      const answer = await perform(route, call, pathOf(request));
      if (running.options.checkReplies === true) checkReply(route, answer);
      return send(reply, answer);
    },
  });
}
