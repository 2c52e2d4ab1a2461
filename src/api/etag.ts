/** Versions of configuration as entity tags. */
import type { IncomingHttpHeaders } from 'node:http';
import { fieldError, RequestError } from './problem.ts';

export function etagOf(version: number): string {
  return `"${version}"`;
}

/** Which versions a change may replace: those listed, or whichever is there. */
export type Precondition =
  | { readonly kind: 'any' }
  | { readonly kind: 'versions'; readonly versions: readonly number[] };

/** A list of entity tags, which may hold commas (RFC 9110, 8.8.3). */
const TAG = /(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"/;
const TAGS = new RegExp(`^${TAG.source}(?:[ \\t]*,[ \\t]*${TAG.source})*$`);
const VERSION = /^[1-9]\d{0,14}$/;

/** Tags that are weak or none of ours can be of no version: the condition does not hold for them. */
function versionsOf(header: string): number[] {
  return [...header.matchAll(new RegExp(TAG, 'g'))].flatMap(([, weak, opaque = '']) =>
    weak === undefined && VERSION.test(opaque) ? [Number(opaque)] : [],
  );
}

export function readIfMatch(headers: IncomingHttpHeaders): Precondition {
  const header = headers['if-match']?.trim();
  if (header === undefined || header === '') {
    throw new RequestError('version_missing', { message: 'The header If-Match is missing' });
  }
  if (header === '*') return { kind: 'any' };
  if (!TAGS.test(header)) {
    throw fieldError('header', '/if-match', 'is no entity tag as it was given out');
  }
  return { kind: 'versions', versions: versionsOf(header) };
}

/** The version that the change replaces; fails with `version_stale` where the condition does not hold. */
export function demandVersion(precondition: Precondition, current: number): number {
  if (precondition.kind === 'any' || precondition.versions.includes(current)) return current;
  throw new RequestError('version_stale', {
    message: `It is at version ${current} by now`,
    headers: { etag: etagOf(current) },
  });
}
