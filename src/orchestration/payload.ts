/** Payloads: JSON text of at most 64 KiB, so that what runs on one engine runs on the other. Rows never travel here. */
import { ForebayError } from '../core/errors.ts';
import type { Json } from './flow.ts';

export const PAYLOAD_LIMIT_BYTES = 65_536;

function problem(value: unknown, path: string): string | null {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return null;
    case 'number':
      return Number.isFinite(value) ? null : `${path} is ${value}`;
    case 'object':
      return value === null ? null : problemOfObject(value, path);
    case 'undefined':
    case 'bigint':
    case 'symbol':
    case 'function':
      return `${path} is ${typeof value}`;
  }
}

function problemOfObject(value: object, path: string): string | null {
  if (Array.isArray(value)) return first(value.entries(), path);
  const prototype: unknown = Object.getPrototypeOf(value);
  // Objects of another realm (a workflow's sandbox) have another Object.
  const plain = prototype === null || Object.getPrototypeOf(prototype) === null;
  if (!plain) return `${path} is no plain object`;
  // A member that is undefined is left out, as JSON does.
  return first(
    Object.entries(value).filter(([, member]) => member !== undefined),
    path,
  );
}

function first(
  entries: Iterable<readonly [string | number, unknown]>,
  path: string,
): string | null {
  for (const [key, member] of entries) {
    const found = problem(member, `${path}.${key}`);
    if (found !== null) return found;
  }
  return null;
}

/** Undefined, which functions without a result give, is null. Fails with `flow_payload`. */
export function toPayload(value: unknown, what: string): string {
  if (value === undefined) return 'null';
  const why = problem(value, 'value');
  if (why !== null) throw new ForebayError('flow_payload', { message: `${what} is no JSON`, why });
  const text = JSON.stringify(value);
  const bytes = bytesOf(text);
  if (bytes > PAYLOAD_LIMIT_BYTES)
    throw new ForebayError('flow_payload', {
      message: `${what} has ${bytes} bytes, more than ${PAYLOAD_LIMIT_BYTES}`,
    });
  return text;
}

function bytesOf(text: string): number {
  const certain = text.length * 3 <= PAYLOAD_LIMIT_BYTES;
  return certain ? text.length : new TextEncoder().encode(text).length;
}

/** Only for text that `toPayload` made. */
export function fromPayload(text: string): Json {
  return JSON.parse(text) as Json;
}
