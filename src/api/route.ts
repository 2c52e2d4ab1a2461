/** What a route is. Every route says who may use it: the type has no form without. */
import type { IncomingHttpHeaders } from 'node:http';
import type { z } from 'zod';
import type { ErrorCode } from '../core/errors.ts';
import type { MetadataDb } from '../metadata/database.ts';
import type { OrganizationScope } from '../metadata/scope.ts';
import type { Role } from '../metadata/tables.ts';
import type { MetadataTransaction } from '../metadata/transaction.ts';
import type { WrappingKeys } from '../metadata/wrapping-keys.ts';
import type { Log } from '../service/log.ts';
import type { Precondition } from './etag.ts';
import type { ControlServices } from './services.ts';

export interface ApiContext {
  readonly db: MetadataDb;
  readonly services: ControlServices;
  /** Of the secrets of connections. */
  readonly keys: WrappingKeys;
  /** Signs cursors; the same in all servers of one metadata database. */
  readonly signingKey: Uint8Array;
  readonly log: Log;
}

/** What a role may do; each role may do what the ones before it may. */
export const PERMISSIONS = ['read', 'operate', 'edit', 'administer'] as const;
export type Permission = (typeof PERMISSIONS)[number];

const OF_ROLE: Readonly<Record<Role, Permission>> = {
  viewer: 'read',
  operator: 'operate',
  editor: 'edit',
  admin: 'administer',
};

export function mayDo(role: Role, permission: Permission): boolean {
  return PERMISSIONS.indexOf(OF_ROLE[role]) >= PERMISSIONS.indexOf(permission);
}

/** Who asks, as their token proved. */
export interface Caller {
  readonly scope: OrganizationScope;
  readonly role: Role;
  /** As the audit log names them. */
  readonly actor: string;
  readonly tokenId: string;
  readonly userId: string | null;
  readonly address: string;
}

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export interface Reply {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Becomes the ETag. */
  readonly version?: number;
  /** Sent as it is, of this type, instead of a JSON body. */
  readonly text?: { readonly type: string; readonly content: string };
}

export interface Audit {
  readonly action: string;
  readonly resourceType: string;
  readonly resourceId: string | null;
  /** Without secrets. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** What a change did. */
export interface Effect extends Reply {
  readonly audit: Audit;
  /** What an Idempotency-Key brings back, where that must not be all of the answer. */
  readonly recorded?: unknown;
  readonly afterCommit?: () => void;
}

export interface Asked<P, Q, B> {
  readonly context: ApiContext;
  readonly params: P;
  readonly query: Q;
  readonly body: B;
  readonly headers: IncomingHttpHeaders;
  /** One that is aborted when the asker is gone, the server stops, or it takes too long. */
  readonly signal: () => AbortSignal;
  readonly address: string;
}

export interface Call<P, Q, B> extends Asked<P, Q, B> {
  readonly caller: Caller;
}

export interface ChangeCall<P, Q, B> extends Call<P, Q, B> {
  /** Only of routes that are `conditional`. */
  readonly precondition: Precondition;
}

/** One event of a live feed; its id is what Last-Event-ID brings back. */
export interface FeedEvent {
  readonly id: string;
  readonly event: string;
  readonly data: unknown;
}

export interface FeedPage {
  readonly events: readonly FeedEvent[];
  /** Nothing will come any more. */
  readonly ended: boolean;
}

/** Reads what came after an event; null: from where the feed begins. */
export interface Feed {
  next(after: string | null): Promise<FeedPage>;
}

export interface RouteTexts {
  readonly method: Method;
  /** With `{name}` for parameters. */
  readonly path: string;
  readonly operation: string;
  readonly summary: string;
  readonly tag: string;
  /** Of the body, for the reference; it must pass the schema. */
  readonly example?: unknown;
  /** Bodies by status; null where there is none, a media type where it is not JSON. */
  readonly replies: Readonly<Record<number, z.ZodType | string | null>>;
  /** Codes beside those that every route may answer. */
  readonly failures?: readonly ErrorCode[];
  /** Another system is asked, whose failures are answered by their own codes. */
  readonly upstream?: true;
}

interface Schemas<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType> {
  readonly params?: P;
  readonly query?: Q;
  readonly body?: B;
}

type Out<S extends z.ZodType> = z.output<S>;

interface OpenRoute<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType>
  extends RouteTexts, Schemas<P, Q, B> {
  readonly kind: 'open';
  readonly permission: 'public';
  /** A password or token is tried: each address may do so a few times only. */
  readonly guarded?: true;
  /** Whose password is tried: each may be tried a few times only. */
  readonly guessed?: (body: Out<B>) => string;
  readonly handle: (asked: Asked<Out<P>, Out<Q>, Out<B>>) => Promise<Reply>;
}

interface ReadRoute<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType>
  extends RouteTexts, Schemas<P, Q, B> {
  readonly kind: 'read';
  readonly permission: Permission;
  readonly handle: (call: Call<Out<P>, Out<Q>, Out<B>>) => Promise<Reply>;
  /** Followed where the asker accepts text/event-stream. */
  readonly feed?: (call: Call<Out<P>, Out<Q>, Out<B>>) => Promise<Feed>;
}

interface ChangeRoute<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType, R>
  extends RouteTexts, Schemas<P, Q, B> {
  readonly kind: 'change';
  readonly permission: Permission;
  /** If-Match must name the version that is changed. */
  readonly conditional?: true;
  /** How long it may take; left out, a minute. */
  readonly timeoutMs?: number;
  /** What takes long or asks other systems; before the transaction, and not for a request that was done already. */
  readonly prepare?: (call: ChangeCall<Out<P>, Out<Q>, Out<B>>) => Promise<R>;
  /** In one transaction with the audit and the record of the Idempotency-Key. */
  readonly change: (
    call: ChangeCall<Out<P>, Out<Q>, Out<B>>,
    transaction: MetadataTransaction,
    prepared: R,
  ) => Promise<Effect>;
}

type NoSchema = z.ZodType<Record<never, never>>;

/** As the application sees all of them. What `defineRoute` checked of their parts is no longer in the type. */
export type Route =
  | OpenRoute<z.ZodType, z.ZodType, z.ZodType>
  | ReadRoute<z.ZodType, z.ZodType, z.ZodType>
  | ChangeRoute<z.ZodType, z.ZodType, z.ZodType, unknown>;

/** The body is not looked at without a schema: there must be none then. */
export function openRoute<
  P extends z.ZodType = NoSchema,
  Q extends z.ZodType = NoSchema,
  B extends z.ZodType = NoSchema,
>(route: Omit<OpenRoute<P, Q, B>, 'kind' | 'permission'>): Route {
  return erased({ ...route, kind: 'open', permission: 'public' });
}

export function readRoute<
  P extends z.ZodType = NoSchema,
  Q extends z.ZodType = NoSchema,
  B extends z.ZodType = NoSchema,
>(route: Omit<ReadRoute<P, Q, B>, 'kind' | 'method'>): Route {
  return erased({ ...route, kind: 'read', method: 'GET' });
}

export function changeRoute<
  P extends z.ZodType = NoSchema,
  Q extends z.ZodType = NoSchema,
  B extends z.ZodType = NoSchema,
  R = undefined,
>(route: Omit<ChangeRoute<P, Q, B, R>, 'kind'>): Route {
  return erased({ ...route, kind: 'change' });
}

/** The application parses each part with the schema of the route before it calls it. */
function erased(route: object): Route {
  return route as Route;
}
