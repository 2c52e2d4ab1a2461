import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readCursor, writeCursor } from './cursor.ts';

const KEY = Buffer.from('key');
const position = fc.record({ sort: fc.string({ unit: 'binary' }), id: fc.uuid() });

describe('a cursor', () => {
  it('brings back its position, under its key and purpose alone', () => {
    fc.assert(
      fc.property(position, fc.string(), fc.string(), (place, purpose, other) => {
        const cursor = writeCursor(KEY, purpose, place);
        expect(readCursor(KEY, purpose, cursor)).toEqual(place);
        expect(() => readCursor(Buffer.from('other'), purpose, cursor)).toThrow();
        if (other !== purpose) expect(() => readCursor(KEY, other, cursor)).toThrow();
      }),
    );
  });

  it('that was changed anywhere is refused', () => {
    fc.assert(
      fc.property(position, fc.nat(), fc.constantFrom('A', 'Z', '_', '=', ' '), (place, at, by) => {
        const cursor = writeCursor(KEY, 'list', place);
        const index = at % cursor.length;
        const changed = `${cursor.slice(0, index)}${by}${cursor.slice(index + 1)}`;
        fc.pre(changed !== cursor);
        expect(() => readCursor(KEY, 'list', changed)).toThrow(
          expect.objectContaining({ code: 'request_invalid' }),
        );
      }),
    );
  });
});
