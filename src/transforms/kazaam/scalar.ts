/** JSON values that are no list and no object, as converters and conditions take them. */
import { KazaamFailure } from './failure.ts';

export type Scalar =
  | { readonly kind: 'null' }
  | { readonly kind: 'text'; readonly value: string }
  | { readonly kind: 'truth'; readonly value: boolean }
  /** Without a point: exact. */
  | { readonly kind: 'whole'; readonly value: bigint; readonly lexeme: string }
  | { readonly kind: 'decimal'; readonly value: number; readonly lexeme: string };

export type NumberScalar = Extract<Scalar, { kind: 'whole' | 'decimal' }>;

const NUMBER = /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

export function readNumber(lexeme: string): NumberScalar | null {
  if (!NUMBER.test(lexeme)) return null;
  // Leading zeros are no JSON but are forgiven.
  const plain = lexeme.replace(/^(-?)0+(?=\d)/, '$1');
  if (/^-?\d+$/.test(plain)) return { kind: 'whole', value: BigInt(plain), lexeme: plain };
  return { kind: 'decimal', value: Number(plain), lexeme: plain };
}

/** Null for lists, objects and what is no JSON. */
export function readScalar(json: string): Scalar | null {
  if (json === 'null') return { kind: 'null' };
  if (json === 'true' || json === 'false') return { kind: 'truth', value: json === 'true' };
  if (!json.startsWith('"')) return readNumber(json);
  try {
    return { kind: 'text', value: String(JSON.parse(json)) };
  } catch {
    return null;
  }
}

export function converterFailure(name: string, why: string): KazaamFailure {
  return new KazaamFailure('parse', `Warn: converter ${name}: ${why}`);
}
