import { describe, expect, it } from 'vitest';
import { demandVersion, etagOf, readIfMatch } from './etag.ts';

const read = (header: string) => readIfMatch({ 'if-match': header });

describe('If-Match', () => {
  it.each([
    ['"3"', [3]],
    ['"3", "4"', [3, 4]],
    ['"3","a,b" ,\t"5"', [3, 5]],
    ['W/"3"', []],
    ['"03", "", "-1", "1e3"', []],
  ])('%s names the versions %j', (header, versions) => {
    expect(read(header)).toEqual({ kind: 'versions', versions });
  });

  it.each(['3', '"3', '"3" "4"', '*, "3"', 'w/"3"', '"3",', '"\u20ac"'])('%s is none', (header) => {
    expect(() => read(header)).toThrow(expect.objectContaining({ code: 'request_invalid' }));
  });

  it.each([undefined, '', ' '])('%j is missing', (header) => {
    const headers = header === undefined ? {} : { 'if-match': header };
    expect(() => readIfMatch(headers)).toThrow(
      expect.objectContaining({ code: 'version_missing', status: 428 }),
    );
  });

  it('holds for the version that is there', () => {
    expect(demandVersion(read(etagOf(7)), 7)).toBe(7);
    expect(demandVersion(read('*'), 7)).toBe(7);
    expect(() => demandVersion(read('"6"'), 7)).toThrow(
      expect.objectContaining({ status: 412, headers: { etag: '"7"' } }),
    );
  });
});
