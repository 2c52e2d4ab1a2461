/** What a call asks, as a request to the application. */
import type { Metadata } from '@grpc/grpc-js';
import { HEADER_OF, type RequestField, type Rpc } from './contract.ts';
import { fromFields, fromShape } from './wire.ts';

export interface HttpRequest {
  readonly method: Rpc['route']['method'];
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly payload?: string;
}

type Members = Readonly<Record<string, unknown>>;

/** Those of a call's metadata that the application reads. */
const PASSED = ['authorization', 'traceparent'];

/** An address must not become another one: what a URL would drop or resolve is the id of nothing. */
function segment(value: unknown): string {
  const text = typeof value === 'string' ? value : '';
  return text.isWellFormed() && !/^\.{0,2}$/.test(text) ? encodeURIComponent(text) : '-';
}

function urlOf(path: string, params: Members, query: Members): string {
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => segment(params[name]));
  const texts = Object.entries(query).map(([name, value]): [string, string] => [
    name,
    String(value),
  ]);
  const search = new URLSearchParams(texts).toString();
  return search === '' ? filled : `${filled}?${search}`;
}

function headersOf(metadata: Metadata, fields: Members): Record<string, string> {
  const passed = PASSED.flatMap((name): [string, string][] => {
    const [value] = metadata.get(name);
    return typeof value === 'string' ? [[name, value]] : [];
  });
  const own = Object.entries(fields).map(([name, value]): [string, string] => [
    HEADER_OF[name] ?? name,
    String(value),
  ]);
  return Object.fromEntries([...passed, ...own]);
}

/** Undefined where the route takes no body, or can do without one and none is given. */
function bodyOf({ route }: Rpc, fields: readonly RequestField[], message: Members): unknown {
  if (route.body === undefined) return undefined;
  const patch = fields.find(({ place }) => place === 'changes');
  if (patch !== undefined) return fromShape(patch.shape, message[patch.name], '');
  const own = fields.filter(({ place }) => place === 'body');
  const body = fromFields(own, message, '');
  const isEmpty = Object.keys(body).length === 0;
  return isEmpty && route.body.safeParse(undefined).success ? undefined : body;
}

/** Fails with `request_invalid` where a value has no form in JSON. */
export function requestOf(rpc: Rpc, message: Members, metadata: Metadata): HttpRequest {
  const { fields } = rpc.request();
  const of = (place: RequestField['place']): Members =>
    fromFields(
      fields.filter((field) => field.place === place),
      message,
      '',
    );
  const { route } = rpc;
  const body = bodyOf(rpc, fields, message);
  return {
    method: route.method,
    url: urlOf(route.path, of('path'), of('query')),
    headers: {
      ...headersOf(metadata, of('header')),
      accept: rpc.isFeed ? 'text/event-stream' : '*/*',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { payload: JSON.stringify(body) }),
  };
}

/** Of `address:port`, by whom requests are counted. */
export function callerAddress(peer: string): string {
  const at = peer.lastIndexOf(':');
  return at === -1 ? peer : peer.slice(0, at);
}
