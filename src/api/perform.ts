/** Runs a route that was admitted and read. */
import { appendAudit } from '../metadata/audit-log.ts';
import { type KeyedRequest, once } from '../metadata/idempotency-keys.ts';
import { inTransaction, type MetadataTransaction } from '../metadata/transaction.ts';
import { readIfMatch } from './etag.ts';
import { bodyHash, readIdempotencyKey } from './idempotency.ts';
import type { Call, ChangeCall, Effect, Reply, Route } from './route.ts';

type AnyCall = Call<unknown, unknown, unknown>;
type ChangeRoute = Extract<Route, { readonly kind: 'change' }>;
type AnyChange = ChangeCall<unknown, unknown, unknown>;

/** What is kept under an Idempotency-Key. */
interface Recorded {
  readonly body: unknown;
  readonly headers: Readonly<Record<string, string>> | undefined;
  readonly version: number | undefined;
}

function keyedRequest(route: ChangeRoute, call: AnyCall, path: string): KeyedRequest | null {
  if (route.method !== 'POST') return null;
  const key = readIdempotencyKey(call.headers);
  if (key === null) return null;
  const hash = bodyHash(call.context.signingKey, call.body);
  return { key, method: route.method, path, bodyHash: hash };
}

async function carryOut(
  route: ChangeRoute,
  call: AnyChange,
  transaction: MetadataTransaction,
  prepared: unknown,
): Promise<Effect> {
  const effect = await route.change(call, transaction, prepared);
  const { action, resourceType, resourceId, details } = effect.audit;
  await appendAudit(transaction, call.caller.scope, {
    actor: call.caller.actor,
    action,
    resource_type: resourceType,
    resource_id: resourceId,
    details: details === undefined ? null : JSON.stringify(details),
    address: call.caller.address,
  });
  return effect;
}

function replyAgain(status: number, response: string): Reply {
  // Written by `changeOnce`.
  const { body, headers, version } = JSON.parse(response) as Recorded;
  return {
    status,
    body,
    headers: { ...headers, 'idempotency-replayed': 'true' },
    ...(version === undefined ? {} : { version }),
  };
}

const NOT_YET = new Error('the request was not done yet');

/** Of a request that was done already; then what takes long is not done again. */
async function recordedReply(call: AnyCall, keyed: KeyedRequest): Promise<Reply | null> {
  try {
    const { db } = call.context;
    const answer = await once(db, call.caller.scope, keyed, () => Promise.reject(NOT_YET));
    return replyAgain(answer.status, answer.response);
  } catch (error) {
    if (error === NOT_YET) return null;
    throw error;
  }
}

async function changeOnce(
  route: ChangeRoute,
  call: AnyChange,
  keyed: KeyedRequest,
): Promise<Reply> {
  const recorded = route.prepare === undefined ? null : await recordedReply(call, keyed);
  if (recorded !== null) return recorded;
  const prepared = await route.prepare?.(call);
  let effect: Effect | null = null;
  const { db } = call.context;
  const answer = await once(db, call.caller.scope, keyed, async (transaction) => {
    effect = await carryOut(route, call, transaction, prepared);
    const { status, headers, version } = effect;
    const body = 'recorded' in effect ? effect.recorded : effect.body;
    return { status, response: JSON.stringify({ body, headers, version } satisfies Recorded) };
  });
  // Assigned in the callback, which the checker does not follow.
  const performed = effect as Effect | null;
  if (performed === null) return replyAgain(answer.status, answer.response);
  performed.afterCommit?.();
  return performed;
}

async function performChange(route: ChangeRoute, call: AnyCall, path: string): Promise<Reply> {
  const precondition =
    route.conditional === true ? readIfMatch(call.headers) : ({ kind: 'any' } as const);
  const change: AnyChange = { ...call, precondition };
  const keyed = keyedRequest(route, call, path);
  if (keyed !== null) return changeOnce(route, change, keyed);
  const prepared = await route.prepare?.(change);
  const effect = await inTransaction(call.context.db, (transaction) =>
    carryOut(route, change, transaction, prepared),
  );
  effect.afterCommit?.();
  return effect;
}

/** The parts of the call have passed the schemas of the route. */
export function perform(route: Route, call: AnyCall, path: string): Promise<Reply> {
  return route.kind === 'change' ? performChange(route, call, path) : route.handle(call);
}
