import { createHmac } from 'node:crypto';
import { canonicalLexeme } from '../expression/decimal.ts';
import { TransformFailure } from '../expression/failure.ts';
import { JsonNumber, type JsonScalar, type JsonValue } from '../json/value.ts';
import { formatPreserving } from './format-preserving.ts';
import type { MaskSpecification } from './specification.ts';

export type Mask = (value: JsonValue) => JsonValue;

/** Null stays null. Of arrays and objects every value inside is masked; `redact` replaces them whole. */
export function compileMask(specification: MaskSpecification, column: string): Mask {
  if (specification.method === 'redact') {
    return (value) => (value === null ? null : specification.value);
  }
  const scalar = scalarMask(specification);
  const mask: Mask = (value) => {
    if (Array.isArray(value)) return value.map(mask);
    if (value instanceof Map) {
      return new Map([...value].map(([key, member]) => [key, mask(member)]));
    }
    return value === null ? null : scalar(value);
  };
  return (value) => {
    try {
      return mask(value);
    } catch (error) {
      if (!(error instanceof TransformFailure)) throw error;
      throw new TransformFailure('transform_mask', `column ${column}: ${error.message}`);
    }
  };
}

type Given = Exclude<JsonScalar, null>;

function scalarMask(
  specification: Exclude<MaskSpecification, { readonly method: 'redact' }>,
): (value: Given) => JsonScalar {
  switch (specification.method) {
    case 'hash': {
      const { salt, length } = specification;
      return (value) =>
        createHmac('sha256', salt).update(maskedText(value)).digest('hex').slice(0, length);
    }
    case 'truncate':
      return (value) => firstCharacters(maskedText(value), specification.length);
    case 'tokenise': {
      const { secret, prefix, length } = specification;
      // Not the hash's message, so that a token and a hash under one secret have nothing in common.
      return (value) =>
        prefix +
        base32(
          createHmac('sha256', secret)
            .update(`token\0${maskedText(value)}`)
            .digest(),
          length,
        );
    }
    case 'format_preserving':
      return formatPreserving(specification);
  }
}

/** Equal numbers have equal texts, however they were written; a number and its text are the same. */
function maskedText(value: Given): string {
  if (typeof value === 'string') return value;
  return value instanceof JsonNumber ? canonicalLexeme(value.lexeme) : String(value);
}

/** Only lower case, so that collations that ignore case keep tokens apart. */
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567';

function base32(bytes: Buffer, length: number): string {
  let bits = BigInt(`0x${bytes.toString('hex')}`);
  let text = '';
  for (let count = 0; count < length; count += 1) {
    text += ALPHABET[Number(bits & 31n)] ?? '';
    bits >>= 5n;
  }
  return text;
}

function firstCharacters(text: string, count: number): string {
  if (text.length <= count) return text;
  const cut = text.slice(0, count * 2);
  return Array.from(cut).slice(0, count).join('');
}
