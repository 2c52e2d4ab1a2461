import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileCustom } from './compile.ts';
import type { MaskSpecification } from './specification.ts';

const SECRET = 'correct horse battery staple';
type Loose = Partial<MaskSpecification> & { readonly method: MaskSpecification['method'] };

function masked(mask: Loose, value: string, column = 'a', json = `{"a":${value}}`): string {
  const result = compileCustom(
    { mask: { [column]: mask } },
    { module: () => () => ({ kind: 'filtered' }) },
  );
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  const outcome = result.transform(json);
  if (outcome.kind === 'failed') return `${outcome.code}: ${outcome.message}`;
  if (outcome.kind === 'filtered') return 'filtered';
  return column === 'a' ? outcome.json.slice(5, -1) : outcome.json;
}

const HASH = { method: 'hash', salt: SECRET } as const;
const TOKEN = { method: 'tokenise', secret: SECRET } as const;
const FORMAT = { method: 'format_preserving', secret: SECRET } as const;

describe('masks', () => {
  it('hash is HMAC-SHA-256 of the text under the salt', () => {
    const expected = createHmac('sha256', SECRET).update('ada@example.org').digest('hex');
    expect(masked(HASH, '"ada@example.org"')).toBe(`"${expected}"`);
    expect(masked({ ...HASH, length: 16 }, '"ada@example.org"')).toBe(`"${expected.slice(0, 16)}"`);
  });

  it('equal numbers have equal hashes, however they are written', () => {
    const hashes = ['12.50', '12.5', '125e-1', '"12.5"'].map((value) => masked(HASH, value));
    expect(new Set(hashes).size).toBe(1);
  });

  it('tokens are the same for the same value and secret, and for no other', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (a, b) => {
        const [one, other] = [a, b].map((value) => masked(TOKEN, JSON.stringify(value)));
        expect(one).toMatch(/^"[a-z2-7]{26}"$/);
        expect(one === other).toBe(a === b);
      }),
    );
    expect(masked({ ...TOKEN, secret: 'another secret' }, '"x"')).not.toBe(masked(TOKEN, '"x"'));
    expect(masked({ ...TOKEN, prefix: 'tok_', length: 10 }, '"x"')).toMatch(/^"tok_[a-z2-7]{10}"$/);
  });

  it.each([
    [{ method: 'redact' }, '"x"', '"[redacted]"'],
    [{ method: 'redact', value: null }, '{"b":1}', 'null'],
    [{ method: 'redact' }, 'null', 'null'],
    [{ method: 'truncate', length: 2 }, '"\u{1F600}\u{1F601}\u{1F602}"', '"\u{1F600}\u{1F601}"'],
    [{ method: 'truncate', length: 0 }, '"abc"', '""'],
    [{ method: 'truncate', length: 2 }, '[12345,{"b":"xyz"}]', '["12",{"b":"xy"}]'],
    [HASH, 'null', 'null'],
  ] as const)('%j of %s is %s', (mask, value, expected) => {
    expect(masked(mask, value)).toBe(expected);
  });

  it('reach nested values, through arrays on the way', () => {
    const json = '{"people":[{"mail":"a"},{"mail":"b","keep":"c"},7]}';
    expect(masked({ method: 'redact', value: '-' }, '', 'people.mail', json)).toBe(
      '{"people":[{"mail":"-"},{"mail":"-","keep":"c"},7]}',
    );
    expect(masked({ method: 'redact', value: '-' }, '', 'people[1].mail', json)).toBe(
      '{"people":[{"mail":"a"},{"mail":"-","keep":"c"},7]}',
    );
  });
});

describe('format-preserving masks', () => {
  it('put digits for digits and leave the rest', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^\+[0-9]{2} \([0-9]{3}\) [0-9]{4}-[a-z]{2}$/), (value) => {
        const sealed = masked(FORMAT, JSON.stringify(value));
        expect(sealed).toMatch(/^"\+[0-9]{2} \([0-9]{3}\) [0-9]{4}-[a-z]{2}"$/);
        expect(sealed.slice(-3, -1)).toBe(value.slice(-2));
      }),
    );
  });

  it('put letters for letters of the same case where asked', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Z]{3}-[a-z]{3}-[0-9]{6}$/), (value) => {
        expect(masked({ ...FORMAT, letters: true }, JSON.stringify(value))).toMatch(
          /^"[A-Z]{3}-[a-z]{3}-[0-9]{6}"$/,
        );
      }),
    );
  });

  it('keep numbers numbers of the same length, one to one', () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^-?(0|[1-9][0-9]{0,3})\.[0-9]{7}$/),
        fc.stringMatching(/^[1-9][0-9]{6}$/),
        (decimal, integer) => {
          const shape = (text: string) => text.replaceAll(/[1-9]/g, '0');
          const sealed = masked(FORMAT, decimal);
          expect(shape(sealed)).toBe(shape(decimal));
          expect(sealed.startsWith('0') || sealed.startsWith('-0')).toBe(/^-?0/.test(decimal));
          expect(masked(FORMAT, integer)).toMatch(/^[1-9][0-9]{6}$/);
        },
      ),
    );
  });

  it.each([
    [
      FORMAT,
      '"12345"',
      'transform_mask: column a: format_preserving cannot mask less than 6 digits',
    ],
    [
      { ...FORMAT, letters: true },
      '"abcd"',
      'transform_mask: column a: format_preserving cannot mask less than 5 letters',
    ],
    [{ ...FORMAT, short: 'redact' }, '"12-345"', '"00-000"'],
    [{ ...FORMAT, short: 'redact' }, '12.3', '0'],
    [{ ...FORMAT, short: 'redact', letters: true }, '"Ab-1"', '"Xx-0"'],
    [
      FORMAT,
      '"\u0661\u0662\u0663\u0664\u0665\u0666"',
      'transform_mask: column a: format_preserving cannot mask digits other than 0 to 9',
    ],
    [
      { ...FORMAT, letters: true },
      '"Zürich"',
      'transform_mask: column a: format_preserving cannot mask letters other than a to z',
    ],
    [
      FORMAT,
      '1e10',
      'transform_mask: column a: format_preserving cannot mask a number with an exponent',
    ],
    [FORMAT, 'true', 'transform_mask: column a: format_preserving cannot mask a boolean'],
    [FORMAT, '"no digits"', '"no digits"'],
  ] as const)('%j of %s: %s', (mask, value, expected) => {
    expect(masked(mask, value)).toBe(expected);
  });

  it('differ by secret and by tweak', () => {
    const sealed = [
      FORMAT,
      { ...FORMAT, tweak: 'phone' },
      { ...FORMAT, secret: 'another secret' },
    ].map((mask) => masked(mask, '"0123456789"'));
    expect(new Set(sealed).size).toBe(3);
  });
});
