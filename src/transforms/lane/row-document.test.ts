import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { allocateSlab } from '../../core/slab.ts';
import { OP_READ, type RowBatch, RowBatchBuilder } from '../../core/row-batch.ts';
import type { StreamSchema } from '../../core/stream-schema.ts';
import { type LogicalType, printType } from '../../core/value.ts';
import { cellText, cellToJson, jsonToCell } from './cell-json.ts';
import { wholeSpan } from './json-members.ts';
import { RowDocuments } from './row-document.ts';

const SEED = Number(process.env['FOREBAY_SEED'] ?? 20_417);

function schemaOf(types: readonly LogicalType[]): StreamSchema {
  return {
    stream: { namespace: 'public', name: 'things' },
    ref: '1',
    version: 1,
    columns: types.map((type, index) => ({
      name: `c"${index}`,
      type,
      nativeType: printType(type),
      nullable: true,
      ref: String(index),
    })),
    computed: [],
    identity: 'none',
    key: [],
    family: 'postgres',
  };
}

function batchOf(schema: StreamSchema, texts: readonly (string | null | undefined)[]): RowBatch {
  const bytes = Buffer.from(texts.map((text) => text ?? '').join(''));
  const slab = allocateSlab(Math.max(bytes.length, 1));
  bytes.copy(slab);
  const builder = new RowBatchBuilder(
    schema,
    schema.columns.map(() => 'text' as const),
    slab,
  );
  const base = builder.beginRow(OP_READ, 0, 0);
  let at = 0;
  for (const [column, text] of texts.entries()) {
    const length = text == null ? -1 : Buffer.byteLength(text);
    builder.cells[base + column * 2] = at;
    builder.cells[base + column * 2 + 1] = text === undefined ? -3 : length;
    at += Math.max(length, 0);
  }
  return builder.finish();
}

function documentOf(types: readonly LogicalType[], texts: readonly (string | null | undefined)[]) {
  const schema = schemaOf(types);
  return new RowDocuments(schema).of(batchOf(schema, texts), 0)?.json;
}

const pad = (value: number, width = 2): string => String(value).padStart(width, '0');
const word = fc
  .string({ unit: 'grapheme', maxLength: 12 })
  .map((text) => text.replaceAll('\u0000', ''));
const dateText = fc
  .tuple(
    fc.integer({ min: 1, max: 9999 }),
    fc.integer({ min: 1, max: 12 }),
    fc.integer({ min: 1, max: 28 }),
  )
  .map(([year, month, day]) => `${pad(year, 4)}-${pad(month)}-${pad(day)}`);
const timeText = fc
  .tuple(fc.integer({ min: 0, max: 86_399 }), fc.integer({ min: 0, max: 999_999 }))
  .map(([second, micros]) => {
    const clock = [second / 3600, (second / 60) % 60, second % 60].map((part) =>
      pad(Math.floor(part)),
    );
    const fraction = micros === 0 ? '' : `.${pad(micros, 6).replace(/0+$/, '')}`;
    return `${clock.join(':')}${fraction}`;
  });
const timestampText = (zone: string): fc.Arbitrary<string> =>
  fc.oneof(
    fc.tuple(dateText, timeText).map(([date, time]) => `${date} ${time}${zone}`),
    fc.constantFrom(
      'infinity',
      '-infinity',
      `0044-03-15 00:00:00${zone} BC`,
      `12024-01-01 00:00:00${zone}`,
    ),
  );
const decimalText = fc.oneof(
  fc
    .tuple(fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n }), fc.nat({ max: 9999 }))
    .map(([whole, fraction]) => `${whole}.${pad(fraction, 4)}`),
  fc.constantFrom('NaN', 'Infinity', '-Infinity', '0', '-0.10'),
);

const SCALARS: readonly (readonly [LogicalType, fc.Arbitrary<string>])[] = [
  [{ kind: 'boolean' }, fc.constantFrom('t', 'f')],
  [{ kind: 'int', bits: 16 }, fc.integer({ min: -32_768, max: 32_767 }).map(String)],
  [{ kind: 'int', bits: 64 }, fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String)],
  [
    { kind: 'float', bits: 64 },
    fc.oneof(
      fc
        .double({ noNaN: true, noDefaultInfinity: true })
        .map((value) => (Object.is(value, -0) ? '-0' : String(value))),
      fc.constantFrom('NaN', 'Infinity', '-Infinity', '1e+20', '1.5e-07'),
    ),
  ],
  [{ kind: 'decimal', precision: null, scale: null }, decimalText],
  [{ kind: 'text' }, word],
  [
    { kind: 'bytes' },
    fc.uint8Array({ maxLength: 9 }).map((bytes) => `\\x${Buffer.from(bytes).toString('hex')}`),
  ],
  [{ kind: 'date' }, fc.oneof(dateText, fc.constantFrom('infinity', '-infinity', '0044-03-15 BC'))],
  [{ kind: 'time' }, timeText],
  [{ kind: 'timestamp', zoned: false }, timestampText('')],
  [{ kind: 'timestamp', zoned: true }, timestampText('+00')],
  [
    { kind: 'interval' },
    fc.oneof(timeText, fc.constantFrom('1 year 2 mons -3 days +04:05:06.7', '-1 days', '00:00:00')),
  ],
  [{ kind: 'uuid' }, fc.uuid()],
  [{ kind: 'json' }, fc.json().map((json) => json.trim())],
  [{ kind: 'other' }, word],
];

const element = (text: string): string => `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
/** Elements as PostgreSQL prints them, quoted where they must be. */
function printed(text: string | null): string {
  if (text === null) return 'NULL';
  const plain = /^[^\s{},"\\]+$/.test(text) && text.toLowerCase() !== 'null';
  return plain ? text : element(text);
}

const ARRAYS = SCALARS.filter(([type]) => type.kind !== 'other').flatMap(([type, texts]) => {
  // An element that is JSON's null would be NULL when it comes back.
  const sure = type.kind === 'json' ? texts.filter((text) => text !== 'null') : texts;
  const items = fc.array(fc.option(sure), { maxLength: 4 });
  const flat = items.map((list) => `{${list.map(printed).join(',')}}`);
  const nested = fc
    .tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 }))
    .chain(([rows, width]) =>
      fc.array(fc.array(fc.option(texts), { minLength: width, maxLength: width }), {
        minLength: rows,
        maxLength: rows,
      }),
    )
    .map((rows) => `{${rows.map((row) => `{${row.map(printed).join(',')}}`).join(',')}}`);
  const array = (dimensions: number): LogicalType => ({ kind: 'array', element: type, dimensions });
  const cases: [LogicalType, fc.Arbitrary<string>][] = [[array(1), flat]];
  // Whether a JSON element that is an array is one, or a part of a dimension, nothing tells.
  if (type.kind !== 'json') cases.push([array(2), nested]);
  return cases;
});

describe('a cell, as JSON and back', () => {
  const cases = [...SCALARS, ...ARRAYS].map(([type, texts]) => ({
    name: printType(type),
    type,
    texts,
  }));
  test.for(cases)('is the same: $name', ({ type, texts }) => {
    fc.assert(
      fc.property(texts, (text) => {
        const json = cellToJson(type, text);
        expect(() => JSON.parse(json) as unknown).not.toThrow();
        const span = wholeSpan(json);
        expect(span).not.toBeNull();
        if (span !== null) expect(jsonToCell(type, json, span)).toBe(text);
      }),
      { seed: SEED },
    );
  });
});

describe('a row as a document', () => {
  test('has numbers with their digits, ISO timestamps, nested arrays and raw JSON', () => {
    const json = documentOf(
      [
        { kind: 'int', bits: 64 },
        { kind: 'decimal', precision: 20, scale: 4 },
        { kind: 'float', bits: 64 },
        { kind: 'timestamp', zoned: true },
        { kind: 'timestamp', zoned: false },
        { kind: 'array', element: { kind: 'int', bits: 32 }, dimensions: 2 },
        { kind: 'array', element: { kind: 'text' }, dimensions: 1 },
        { kind: 'json' },
        { kind: 'bytes' },
        { kind: 'boolean' },
      ],
      [
        '9007199254740993',
        '1.5000',
        'NaN',
        '2024-05-06 07:08:09.5+00',
        '2024-05-06 07:08:09',
        '[0:1][3:3]={{1},{NULL}}',
        String.raw`{a,"b, \"c\"",NULL,"NULL"}`,
        '{"b": 1.10}',
        String.raw`\x00ff`,
        't',
      ],
    );
    expect(json).toBe(
      String.raw`{"c\"0":9007199254740993,"c\"1":1.5000,"c\"2":"NaN","c\"3":"2024-05-06T07:08:09.5Z","c\"4":"2024-05-06T07:08:09","c\"5":[[1],[null]],"c\"6":["a","b, \"c\"",null,"NULL"],"c\"7":{"b": 1.10},"c\"8":"\\x00ff","c\"9":true}`,
    );
  });

  test('has null for NULL and leaves out what was not sent', () => {
    const text: LogicalType = { kind: 'text' };
    expect(documentOf([text, text, text], ['a', null, undefined])).toBe(
      '{"c\\"0":"a","c\\"1":null}',
    );
    expect(documentOf([], [])).toBe('{}');
  });

  test('is not made of text that is not UTF-8, where the source may have such', () => {
    const schema: StreamSchema = { ...schemaOf([{ kind: 'text' }]), rawText: true };
    const batch = batchOf(schema, ['ab']);
    batch.slab[1] = 0xff;
    expect(new RowDocuments(schema).of(batch, 0)).toBeNull();
  });

  test('of any types in any order is read back cell by cell', () => {
    const cell = fc
      .constantFrom(...SCALARS)
      .chain(([type, texts]) => fc.tuple(fc.constant(type), fc.option(texts)));
    fc.assert(
      fc.property(fc.array(cell, { maxLength: 8 }), (cells) => {
        const schema = schemaOf(cells.map(([type]) => type));
        const batch = batchOf(
          schema,
          cells.map(([, text]) => text),
        );
        const document = new RowDocuments(schema).of(batch, 0);
        const parsed = JSON.parse(document?.json ?? '') as Record<string, unknown>;
        expect(Object.keys(parsed)).toEqual(schema.columns.map(({ name }) => name));
        for (const [column, [type, text]] of cells.entries()) {
          const json = document?.values[column] ?? '';
          const span = wholeSpan(json);
          const back = span === null || json === 'null' ? null : jsonToCell(type, json, span);
          expect(text === null || (type.kind === 'json' && text === 'null') ? null : back).toBe(
            type.kind === 'json' && text === 'null' ? null : text,
          );
          expect(cellText(batch, 0, column)).toBe(text);
        }
      }),
      { seed: SEED },
    );
  });
});

describe('a value that a type cannot hold exactly', () => {
  const cell = (type: LogicalType, json: string): string | null => {
    const span = wholeSpan(json);
    if (span === null) throw new TypeError(json);
    return jsonToCell(type, json, span);
  };
  const money: LogicalType = { kind: 'decimal', precision: 5, scale: 2 };

  test.for<[LogicalType, string, string | null]>([
    [money, '123.45', '123.45'],
    [money, '123.450', '123.450'],
    [money, '1.2345e2', '123.45'],
    [money, '123.456', null],
    [money, '1234.5', null],
    [money, '1e9999999', null],
    [{ kind: 'int', bits: 16 }, '32768', null],
    [{ kind: 'int', bits: 64 }, '9223372036854775807', '9223372036854775807'],
    [{ kind: 'int', bits: 64 }, '1.5', null],
    [{ kind: 'int', bits: 32 }, '"7"', null],
    [
      { kind: 'timestamp', zoned: true },
      '"2024-05-06T07:08:09+05:30"',
      '2024-05-06 07:08:09+05:30',
    ],
    [{ kind: 'timestamp', zoned: true }, '"2024-05-06T07:08:09"', '2024-05-06 07:08:09+00'],
    [{ kind: 'timestamp', zoned: false }, '"2024-05-06T07:08:09Z"', '2024-05-06 07:08:09'],
    [{ kind: 'timestamp', zoned: false }, '"2024-05-06T07:08:09+02"', null],
    [{ kind: 'timestamp', zoned: true }, '"2024-05-06T07:08:09.1234567Z"', null],
    [
      { kind: 'timestamp', zoned: true },
      '"2024-05-06T07:08:09.123456000Z"',
      '2024-05-06 07:08:09.123456+00',
    ],
    [{ kind: 'timestamp', zoned: true }, '"yesterday"', null],
    [{ kind: 'array', element: { kind: 'int', bits: 32 }, dimensions: 1 }, '[1,"x"]', null],
    [{ kind: 'array', element: { kind: 'int', bits: 32 }, dimensions: 1 }, '[[1],[2,3]]', null],
    [
      { kind: 'array', element: { kind: 'json' }, dimensions: 1 },
      '[{"a":[1]},[2]]',
      '{"{\\"a\\":[1]}",[2]}',
    ],
    [{ kind: 'text' }, '{"a": 1}', '{"a": 1}'],
    [{ kind: 'text' }, '"\\ud800"', null],
    [{ kind: 'uuid' }, '"masked"', null],
    [{ kind: 'date' }, '"2024-05-06T00:00:00"', null],
  ])('%j %s gives %s', ([type, json, expected]) => {
    expect(cell(type, json)).toBe(expected);
  });
});
