import { createHmac } from 'node:crypto';
import { TransformFailure } from '../expression/failure.ts';
import { JsonNumber, type JsonScalar } from '../json/value.ts';
import { Ff1, leastNumerals, MAX_NUMERALS } from './ff1.ts';
import type { MaskSpecification } from './specification.ts';

type Options = MaskSpecification & { readonly method: 'format_preserving' };

/**
 * Digits become digits, and letters letters of the same case where asked; everything else stays. The digits
 * of a value (and its letters) are one string under FF1 with AES-256, so equal values stay equal and
 * different values of one form stay different.
 */
export function formatPreserving(
  options: Options,
): (value: Exclude<JsonScalar, null>) => JsonScalar {
  const tweak = Buffer.from(options.tweak, 'utf8');
  const digits = new Ff1(keyFor(options.secret, 'digits'), 10, tweak);
  const letters = new Ff1(keyFor(options.secret, 'letters'), 26, tweak);
  return (value) => {
    if (typeof value === 'boolean') throw failure('a boolean');
    if (value instanceof JsonNumber) return number(value, digits, options);
    // Digits and letters beyond ASCII would come through in clear.
    if (/[^\P{Nd}0-9]/u.test(value)) throw failure('digits other than 0 to 9');
    const sealed = replaceAll(value, /[0-9]/g, (numerals) => seal(digits, numerals, options));
    if (!options.letters) return sealed;
    if (/[^\P{L}A-Za-z]/u.test(value)) throw failure('letters other than a to z');
    return replaceAll(sealed, /[A-Za-z]/g, (text) => sealLetters(letters, text, options));
  };
}

/** Digits and letters have keys of their own: one key under two radixes would be used for two purposes. */
function keyFor(secret: string, purpose: string): Buffer {
  return createHmac('sha256', secret).update(`format_preserving\0${purpose}`).digest();
}

function failure(why: string): TransformFailure {
  return new TransformFailure('transform_mask', `format_preserving cannot mask ${why}`);
}

function number({ lexeme }: JsonNumber, ff1: Ff1, options: Options): JsonNumber {
  if (/[eE]/.test(lexeme)) throw failure('a number with an exponent');
  const places = lexeme.replaceAll(/[^0-9]/g, '');
  if (places.length < leastNumerals(10) && options.short === 'redact') return new JsonNumber('0');
  const startsWithZero = places.startsWith('0');
  let sealed = places;
  // Walking the cycle: the permutation is taken again until the result is a number again. It ends, at the
  // latest with the value itself, and it is one-to-one among numbers too.
  do sealed = seal(ff1, sealed, options);
  while (sealed.startsWith('0') !== startsWithZero);
  let at = 0;
  return new JsonNumber(lexeme.replaceAll(/[0-9]/g, () => sealed[at++] ?? ''));
}

function replaceAll(value: string, units: RegExp, replace: (found: string) => string): string {
  const found = value.match(units)?.join('') ?? '';
  if (found === '') return value;
  const replaced = replace(found);
  let at = 0;
  return value.replaceAll(units, () => replaced[at++] ?? '');
}

function seal(ff1: Ff1, numerals: string, { short }: Options): string {
  if (numerals.length > MAX_NUMERALS) throw failure(`more than ${MAX_NUMERALS} digits`);
  const least = leastNumerals(10);
  if (numerals.length >= least) return ff1.encrypt(numerals);
  if (short === 'redact') return '0'.repeat(numerals.length);
  throw failure(`less than ${least} digits`);
}

/** As numerals the letters are 0 to 9, a to p; their case stands aside. */
function sealLetters(ff1: Ff1, text: string, { short }: Options): string {
  if (text.length > MAX_NUMERALS) throw failure(`more than ${MAX_NUMERALS} letters`);
  const least = leastNumerals(26);
  if (text.length < least && short === 'fail') throw failure(`less than ${least} letters`);
  const sealed =
    text.length < least
      ? 'x'.repeat(text.length)
      : ff1
          .encrypt(text.toLowerCase().replaceAll(/[a-z]/g, (letter) => shifted(letter, -10)))
          .replaceAll(/[0-9a-p]/g, (numeral) => shifted(numeral, 10));
  return sealed.replaceAll(/[a-z]/g, (letter, at: number) =>
    /[A-Z]/.test(text[at] ?? '') ? letter.toUpperCase() : letter,
  );
}

function shifted(numeral: string, by: number): string {
  return (Number.parseInt(numeral, 36) + by).toString(36);
}
