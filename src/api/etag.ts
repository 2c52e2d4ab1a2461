/** Versions of configuration as entity tags. */
import type { IncomingHttpHeaders } from 'node:http';
import { RequestError } from './problem.ts';

export function etagOf(version: number): string {
  return `"${version}"`;
}

/** Which versions a change may replace: those listed, or whichever is there. */
export type Precondition =
  | { readonly kind: 'any' }
  | { readonly kind: 'versions'; readonly versions: readonly number[] };

const TAG = /^(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"$/;
const VERSION = /^[1-9]\d{0,14}$/;

/** A tag that is weak or none of ours can be of no version: the condition does not hold. */
function versionOf(tag: string): number[] {
  const match = TAG.exec(tag);
  if (match === null) {
    throw new RequestError('request_invalid', {
      message: 'The header If-Match cannot be read',
      fields: [
        {
          in: 'header',
          pointer: '/if-match',
          code: 'request_invalid',
          message: 'is no entity tag as it was given out',
        },
      ],
    });
  }
  const [, weak, opaque = ''] = match;
  return weak === undefined && VERSION.test(opaque) ? [Number(opaque)] : [];
}

export function readIfMatch(headers: IncomingHttpHeaders): Precondition {
  const header = headers['if-match']?.trim();
  if (header === undefined || header === '') {
    throw new RequestError('version_missing', { message: 'The header If-Match is missing' });
  }
  if (header === '*') return { kind: 'any' };
  const versions = header.split(',').flatMap((tag) => versionOf(tag.trim()));
  return { kind: 'versions', versions };
}

/** The version that the change replaces; fails with `version_stale` where the condition does not hold. */
export function demandVersion(precondition: Precondition, current: number): number {
  if (precondition.kind === 'any' || precondition.versions.includes(current)) return current;
  throw new RequestError('version_stale', {
    message: `It is at version ${current} by now`,
    headers: { etag: etagOf(current) },
  });
}
