import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Json } from './flow.ts';
import { fromPayload, PAYLOAD_LIMIT_BYTES, toPayload } from './payload.ts';

it('JSON comes back as it was', () => {
  fc.assert(
    fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
      const text = toPayload(value, 'it');
      expect(fromPayload(text)).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});

it('nothing is null, and members without a value are left out', () => {
  expect(toPayload(undefined, 'it')).toBe('null');
  expect(toPayload({ a: 1, b: undefined }, 'it')).toBe('{"a":1}');
});

it.each([
  [Number.NaN],
  [1n],
  [new Date(0)],
  [new Map()],
  [[undefined]],
  [{ deep: [{ act: () => 1 }] }],
])('%o is refused', (value) => {
  expect(() => toPayload(value, 'it')).toThrow(expect.objectContaining({ code: 'flow_payload' }));
});

it('the limit is counted in bytes', () => {
  const fits: Json = 'x'.repeat(PAYLOAD_LIMIT_BYTES - 2);
  expect(toPayload(fits, 'it')).toHaveLength(PAYLOAD_LIMIT_BYTES);
  expect(() => toPayload(`${fits}x`, 'it')).toThrow();
  expect(() => toPayload('\u20ac'.repeat(PAYLOAD_LIMIT_BYTES / 2), 'it')).toThrow();
});
