import { describe, expect, test } from 'vitest';
import { type CellValue, column, makeBatch, makeSchema } from '../../test/support/row-specs.ts';
import type { CellEncoding, LogicalType } from '../core/value.ts';
import { RowHasher } from './row-hash.ts';

function hashOf(type: LogicalType, value: CellValue, encoding: CellEncoding = 'binary'): string {
  const schema = makeSchema({ name: 'values', columns: [column('v', 'native', type)], key: ['v'] });
  const hasher = new RowHasher({ schema, encodings: [encoding] });
  hasher.hash(makeBatch(schema, encoding, [{ cells: [value] }]), 0);
  expect([hasher.keyA, hasher.keyB]).toEqual([hasher.rowA, hasher.rowB]);
  return `${hasher.rowA}/${hasher.rowB}`;
}

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
const double: LogicalType = { kind: 'float', bits: 64 };
const single: LogicalType = { kind: 'float', bits: 32 };
const money: LogicalType = { kind: 'decimal', precision: 10, scale: 2 };
const free: LogicalType = { kind: 'decimal', precision: null, scale: null };
const arrayOf = (element: LogicalType): LogicalType => ({ kind: 'array', element, dimensions: 1 });
const onePointFive = '0002 0000 0000';
const digits = '0001 1388';
/** One dimension of one element. */
const head = (nulls: string, oid: string): string => `00000001 ${nulls} ${oid} 00000001 00000001`;

describe('the hash of a cell', () => {
  test.each<[string, LogicalType, CellValue, CellValue]>([
    ['any two NaN', double, hex('7ff8000000000000'), hex('fff8000000000000')],
    ['any two NaN of 32 bits', single, hex('7fc00000'), hex('ffc00001')],
    [
      'a decimal of fixed scale, shown wider',
      money,
      hex(`${onePointFive} 0002 ${digits}`),
      hex(`${onePointFive} 0004 ${digits}`),
    ],
    [
      'arrays with another type id and NULL flag',
      arrayOf({ kind: 'int', bits: 32 }),
      hex(`${head('00000000', '00000017')} 00000004 00000005`),
      hex(`${head('00000001', '00000099')} 00000004 00000005`),
    ],
    [
      'arrays of decimals of fixed scale',
      arrayOf(money),
      hex(`${head('00000000', '000006a4')} 0000000c ${onePointFive} 0002 ${digits}`),
      hex(`${head('00000000', '000006a4')} 0000000c ${onePointFive} 0005 ${digits}`),
    ],
  ])('is the same for %s', (_, type, a, b) => {
    expect(hashOf(type, a)).toBe(hashOf(type, b));
  });

  test.each<[string, LogicalType, CellValue, CellValue]>([
    ['0 and -0', double, 0, hex('8000000000000000')],
    ['NaN and infinity', double, hex('7ff8000000000000'), hex('7ff0000000000000')],
    [
      '1.50 and 1.5 where the scale is free',
      free,
      hex(`${onePointFive} 0002 ${digits}`),
      hex(`${onePointFive} 0001 ${digits}`),
    ],
    ['NULL and an empty text', { kind: 'text' }, null, ''],
    ['texts that end in zero bytes', { kind: 'bytes' }, hex('0000'), hex('000000')],
    ['texts that differ in the last of seven bytes', { kind: 'text' }, 'abcdefg', 'abcdefh'],
    [
      'array elements',
      arrayOf(money),
      hex(`${head('00000000', '000006a4')} 0000000c ${onePointFive} 0002 ${digits}`),
      hex(`${head('00000000', '000006a4')} 0000000c ${onePointFive} 0002 0001 1389`),
    ],
  ])('tells apart %s', (_, type, a, b) => {
    expect(hashOf(type, a)).not.toBe(hashOf(type, b));
  });

  test('text is compared as text', () => {
    expect(hashOf(money, '1.50', 'text')).not.toBe(hashOf(money, '1.5', 'text'));
  });
});

test('neighbouring cells do not trade bytes', () => {
  const schema = makeSchema({
    name: 'pairs',
    columns: [column('a', 'text', { kind: 'text' }), column('b', 'text', { kind: 'text' })],
  });
  const hasher = new RowHasher({ schema, encodings: ['text', 'text'] });
  const batch = makeBatch(schema, 'text', [{ cells: ['ab', 'c'] }, { cells: ['a', 'bc'] }]);
  hasher.hash(batch, 0);
  const first = [hasher.rowA, hasher.rowB];
  hasher.hash(batch, 1);
  expect([hasher.rowA, hasher.rowB]).not.toEqual(first);
});

test('the hashes of many rows spread and do not meet', () => {
  const schema = makeSchema({
    name: 'ids',
    columns: [column('id', 'bigint', { kind: 'int', bits: 64 })],
    key: ['id'],
  });
  const hasher = new RowHasher({ schema, encodings: ['binary'] });
  const batch = makeBatch(
    schema,
    'binary',
    Array.from({ length: 50_000 }, (_, id) => ({ cells: [id] })),
  );
  const seen = new Set<string>();
  const buckets = new Uint32Array(256);
  for (let row = 0; row < batch.rowCount; row += 1) {
    hasher.hash(batch, row);
    seen.add(`${hasher.rowA}/${hasher.rowB}`);
    const bucket = hasher.keyA >>> 24;
    buckets[bucket] = (buckets[bucket] ?? 0) + 1;
  }
  expect(seen.size).toBe(50_000);
  // 195 on average; the bounds are seven standard deviations away.
  expect(Math.min(...buckets)).toBeGreaterThan(97);
  expect(Math.max(...buckets)).toBeLessThan(293);
});
