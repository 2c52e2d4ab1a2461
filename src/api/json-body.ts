/** Reads the body of a request. What passes here can be stored in every metadata database. */
import type { IncomingHttpHeaders } from 'node:http';
import { type FieldPlace, fieldError, RequestError } from './problem.ts';

const DEPTH = 64;
const REFUSED_KEYS = new Set(['__proto__', 'constructor', 'prototype']);
const MEDIA_TYPES = new Set(['application/json', 'application/merge-patch+json']);
const PARAMETER = /^[ \t]*charset="?utf-8"?[ \t]*$/i;
const BLANKS = /^[ \t]+|[ \t]+$/g;

function pointerOf(path: readonly (string | number)[]): string {
  return path
    .map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`)
    .join('');
}

export { pointerOf };

/** Text that PostgreSQL cannot hold, or that is no text. */
function textFault(text: string): string | null {
  if (text.includes('\0')) return 'holds a NUL character';
  return text.isWellFormed() ? null : 'holds half of a surrogate pair';
}

interface Place {
  readonly value: unknown;
  readonly path: readonly (string | number)[];
}

function faultOf({ value, path }: Place): string | null {
  if (path.length > DEPTH) return `is nested deeper than ${DEPTH} levels`;
  if (typeof value === 'string') return textFault(value);
  if (typeof value === 'number') return Number.isFinite(value) ? null : 'is too large a number';
  const key = path.at(-1);
  if (typeof key !== 'string') return null;
  return REFUSED_KEYS.has(key) ? 'is a name that is not taken' : textFault(key);
}

/** Its own stack: what is nested deeply must not exhaust that of the process. */
export function checkDocument(document: unknown, place: FieldPlace): void {
  const open: Place[] = [{ value: document, path: [] }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { value, path } = next;
    const fault = faultOf(next);
    if (fault !== null) throw fieldError(place, pointerOf(path.slice(0, DEPTH)), fault);
    if (Array.isArray(value)) {
      for (const [index, item] of value.entries())
        open.push({ value: item, path: [...path, index] });
    } else if (typeof value === 'object' && value !== null) {
      for (const [key, item] of Object.entries(value)) {
        const keyFault = REFUSED_KEYS.has(key) ? 'is a name that is not taken' : textFault(key);
        if (keyFault !== null) throw fieldError(place, pointerOf([...path, key]), keyFault);
        open.push({ value: item, path: [...path, key] });
      }
    }
  }
}

function checkMediaType(header: string | undefined): void {
  const [type = '', ...parameters] = (header ?? '').split(';');
  const known = MEDIA_TYPES.has(type.replaceAll(BLANKS, '').toLowerCase());
  if (known && parameters.every((parameter) => PARAMETER.test(parameter))) return;
  throw new RequestError('media_type', {
    message: header === undefined ? 'The body has no Content-Type' : 'The body is not sent as JSON',
  });
}

/** Undefined where there is no body. */
export function readJsonBody(bytes: unknown, headers: IncomingHttpHeaders): unknown {
  if (!Buffer.isBuffer(bytes) || bytes.length === 0) return undefined;
  checkMediaType(headers['content-type']);
  if (headers['content-encoding'] !== undefined && headers['content-encoding'] !== 'identity') {
    throw new RequestError('media_type', { message: 'Compressed bodies are not taken' });
  }
  let document: unknown;
  try {
    document = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw new RequestError('request_invalid', {
      message: 'The body is no JSON in UTF-8',
      fields: [{ in: 'body', pointer: '', code: 'request_invalid', message: 'is no JSON' }],
      cause: error,
    });
  }
  checkDocument(document, 'body');
  return document;
}
