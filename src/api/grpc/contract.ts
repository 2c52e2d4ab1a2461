/** The routes as services: one for each tag, with one call for each route and one more where a route is also a feed. */
import type { z } from 'zod';
import type { Route } from '../route.ts';
import { type Field, jsonSchemaOf, type Message, pascal, Shapes } from './shape.ts';

export const PACKAGE = 'forebay.v1';

/** Where in a request a field goes. */
export type Place = 'path' | 'query' | 'body' | 'changes' | 'header';

export interface RequestField extends Field {
  readonly place: Place;
}

export interface RequestMessage extends Message {
  readonly fields: readonly RequestField[];
}

export type Response =
  | { readonly kind: 'empty' }
  /** Sent as it is over REST, with its media type. */
  | { readonly kind: 'text'; readonly message: Message }
  | { readonly kind: 'json'; readonly message: Message }
  /** Messages of a feed, one by one. */
  | { readonly kind: 'feed'; readonly message: Message };

export interface Rpc {
  readonly route: Route;
  /** Without the package. */
  readonly service: string;
  readonly name: string;
  readonly comment: string;
  /** Answers many messages, one by one. */
  readonly isFeed: boolean;
  request(): RequestMessage;
  response(): Response;
}

/** Of headers that are fields here. */
export const HEADER_OF: Readonly<Record<string, string>> = {
  idempotency_key: 'idempotency-key',
  if_match: 'if-match',
  last_event_id: 'last-event-id',
};

const text = (name: string, comment: string): RequestField => ({
  name,
  shape: { kind: 'string' },
  optional: true,
  comment,
  place: 'header',
});

const IDEMPOTENCY_KEY = text(
  'idempotency_key',
  'The same key brings back the first answer for a day.',
);
const IF_MATCH = text('if_match', 'ETag of the version that is changed, or *. Required.');
const LAST_EVENT_ID = text(
  'last_event_id',
  'Goes on after this one. Left out, a log begins with its first line, and events are those to come.',
);

const TEXT: Message = {
  name: 'Text',
  comment: 'A document that is no JSON message.',
  fields: [
    { name: 'content_type', shape: { kind: 'string' }, optional: false, comment: 'Media type.' },
    { name: 'content', shape: { kind: 'string' }, optional: false, comment: null },
  ],
};

function partOf(
  schema: z.ZodType | undefined,
  place: 'path' | 'query' | 'body',
  owner: string,
): RequestField[] {
  if (schema === undefined) return [];
  const root = jsonSchemaOf(schema, 'input');
  const shapes = new Shapes(root, 'input');
  const own = shapes.shape(root, owner);
  // A merge patch: null takes a member away, which fields could not say.
  if (own.kind === 'struct') {
    const comment = 'A JSON merge patch (RFC 7396): null takes a member away.';
    return [{ name: 'changes', shape: own, optional: true, comment, place: 'changes' }];
  }
  if (own.kind !== 'message') throw new Error(`the ${place} of ${owner} is no object`);
  return own.message.fields.map((field) => ({ ...field, place }));
}

function requestOf(route: Route, name: string, isFeed: boolean): RequestMessage {
  const message = `${name}Request`;
  const isChange = route.kind === 'change';
  const fields = [
    ...partOf(route.params, 'path', message),
    ...(isFeed ? [LAST_EVENT_ID] : partOf(route.query, 'query', message)),
    ...partOf(route.body, 'body', message),
    ...(isChange && route.method === 'POST' ? [IDEMPOTENCY_KEY] : []),
    ...(isChange && route.conditional === true ? [IF_MATCH] : []),
  ];
  const names = new Set(fields.map((field) => field.name));
  if (names.size < fields.length) throw new Error(`${message} has two fields of one name`);
  return { name: message, comment: null, fields };
}

function replyOf(route: Route): z.ZodType | string | null {
  // An answer without a body is a message without members.
  const replies = [...new Set(Object.values(route.replies))].filter((reply) => reply !== null);
  const [reply = null] = replies;
  if (replies.length > 1) throw new Error(`${route.operation} answers in more than one way`);
  return reply;
}

function responseOf(route: Route, name: string): Response {
  const reply = replyOf(route);
  if (reply === null) return { kind: 'empty' };
  if (typeof reply === 'string') return { kind: 'text', message: TEXT };
  const root = jsonSchemaOf(reply, 'output');
  return { kind: 'json', message: new Shapes(root, 'output').message(root, `${name}Response`) };
}

/** A feed gives one by one what its list gives in pages. */
function feedOf(route: Route, name: string): Response {
  const list = responseOf(route, name);
  const fields = list.kind === 'json' ? list.message.fields : [];
  const items = fields.flatMap(({ shape }) => (shape.kind === 'list' ? [shape.of] : []));
  const [item] = items;
  if (item === undefined || items.length > 1) throw new Error(`${name} is a feed of no list`);
  const textField = (field: string, comment: string): Field => ({
    name: field,
    shape: { kind: 'string' },
    optional: false,
    comment,
  });
  const message: Message = {
    name: `${name}Response`,
    comment: null,
    fields: [
      textField('id', 'What last_event_id takes to go on after this one.'),
      textField('type', '`log`, or the type of the event.'),
      { name: 'data', shape: item, optional: true, comment: null },
    ],
  };
  return { kind: 'feed', message };
}

/** Schemas are looked at when a call is first made: a server that starts need not wait for all of them. */
function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | null = null;
  return () => (made ??= { value: make() }).value;
}

function rpcOf(route: Route): Rpc {
  const name = pascal(route.operation);
  return {
    route,
    service: `${pascal(route.tag)}Service`,
    name,
    comment: route.summary,
    isFeed: false,
    request: once(() => requestOf(route, name, false)),
    response: once(() => responseOf(route, name)),
  };
}

/** `listEvents` is followed as `FollowEvents`. */
function followOf(route: Route): Rpc {
  const name = `Follow${pascal(route.operation.replace(/^[a-z]+/, ''))}`;
  return {
    ...rpcOf(route),
    name,
    comment: `What ${pascal(route.operation)} answers, live and one by one.`,
    isFeed: true,
    request: once(() => requestOf(route, name, true)),
    response: once(() => feedOf(route, name)),
  };
}

export function rpcsOf(routes: readonly Route[]): Rpc[] {
  return routes.flatMap((route) =>
    route.kind === 'read' && route.feed !== undefined
      ? [rpcOf(route), followOf(route)]
      : [rpcOf(route)],
  );
}
