import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LogicalType } from '../../core/value.ts';
import { ByteSink } from './byte-sink.ts';
import { printTimestamp } from './calendar.ts';
import { scaledNumeric, writeScaled } from './numeric.ts';
import { parseArray, writeText } from './text-values.ts';
import { printCell, printFloat } from './value-text.ts';

function roundTrip(type: LogicalType, text: string): string {
  const out = new ByteSink(16);
  if (!writeText(type, text, out)) return `no ${type.kind}: ${text}`;
  return printCell(type, { bytes: out.buffer, offset: 0, length: out.length });
}

function assertRoundTrips(type: LogicalType, texts: fc.Arbitrary<string>): void {
  fc.assert(
    fc.property(texts, (text) => {
      expect(roundTrip(type, text)).toBe(text);
    }),
  );
}

const INT64 = { min: -(2n ** 63n), max: 2n ** 63n - 1n };
const digits = (length: { minLength?: number; maxLength: number }) =>
  fc.string({ unit: fc.constantFrom('0', '1', '2', '3', '4', '5', '6', '7', '8', '9'), ...length });

describe('values', () => {
  it('keep integers and floats', () => {
    assertRoundTrips({ kind: 'int', bits: 64 }, fc.bigInt(INT64).map(String));
    assertRoundTrips(
      { kind: 'int', bits: 16 },
      fc.integer({ min: -32_768, max: 32_767 }).map(String),
    );
    assertRoundTrips(
      { kind: 'float', bits: 64 },
      fc.double().map((value) => printFloat(value, 64)),
    );
    assertRoundTrips(
      { kind: 'float', bits: 32 },
      fc.float().map((value) => printFloat(value, 32)),
    );
  });

  it('keep every digit and the scale of decimals', () => {
    const whole = digits({ maxLength: 60 }).map((text) => text.replace(/^0+/, '') || '0');
    const decimal = fc
      .tuple(fc.boolean(), whole, digits({ maxLength: 40 }))
      .map(([negative, left, right]) => {
        const isZero = /^0*$/.test(left + right);
        return `${negative && !isZero ? '-' : ''}${left}${right === '' ? '' : `.${right}`}`;
      });
    assertRoundTrips({ kind: 'decimal', precision: null, scale: null }, decimal);
  });

  it('tell scaled integers of decimals, and only exact ones', () => {
    const scale = fc.integer({ min: 0, max: 38 });
    fc.assert(
      fc.property(fc.bigInt({ min: -(10n ** 38n), max: 10n ** 38n }), scale, (value, places) => {
        const out = new ByteSink(16);
        writeScaled(value, places, out);
        expect(scaledNumeric(out.buffer, 0, places)).toBe(value);
        const fewer = places > 0 ? scaledNumeric(out.buffer, 0, places - 1) : value / 10n;
        expect(fewer === null || fewer === value / 10n).toBe(true);
        expect(fewer === null && places > 0).toBe(places > 0 && value % 10n !== 0n);
      }),
    );
  });

  it('keep instants, dates and intervals', () => {
    const micros = fc.bigInt({ min: -211_813_488_000_000_000n, max: INT64.max - 1n });
    assertRoundTrips(
      { kind: 'timestamp', zoned: true },
      micros.map((value) => printTimestamp(value, true)),
    );
    assertRoundTrips(
      { kind: 'timestamp', zoned: false },
      micros.map((value) => printTimestamp(value, false)),
    );
    const int32 = fc.integer({ min: -1_000_000_000, max: 1_000_000_000 });
    fc.assert(
      fc.property(int32, int32, fc.bigInt(INT64), (months, days, time) => {
        const out = new ByteSink(16);
        out.int64(time);
        out.int32(days);
        out.int32(months);
        const text = printCell({ kind: 'interval' }, { bytes: out.buffer, offset: 0, length: 16 });
        expect(roundTrip({ kind: 'interval' }, text)).toBe(text);
      }),
    );
  });

  it('agree with JavaScript on the calendar', () => {
    fc.assert(
      fc.property(
        fc.date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true }),
        (date) => {
          const micros = BigInt(date.getTime() - Date.UTC(2000, 0, 1)) * 1000n;
          const iso = date
            .toISOString()
            .replace('T', ' ')
            .replace(/\.?0*Z$/, '');
          expect(printTimestamp(micros, false)).toBe(iso.padEnd(19, '0'));
        },
      ),
    );
  });

  it('keep arrays of any text, nested or not', () => {
    const element = fc.option(fc.string({ unit: 'grapheme' }), { nil: null });
    const rectangle = fc
      .tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 }))
      .chain(([rows, columns]) =>
        fc.array(fc.array(element, { minLength: columns, maxLength: columns }), {
          minLength: rows,
          maxLength: rows,
        }),
      );
    fc.assert(
      fc.property(rectangle, (rows) => {
        const quote = (text: string | null) =>
          text === null ? 'NULL' : `"${text.replace(/["\\]/g, '\\$&')}"`;
        const text = `{${rows.map((row) => `{${row.map(quote).join(',')}}`).join(',')}}`;
        const parsed = parseArray(text);
        expect(parsed?.elements).toEqual(rows.flat());
        expect(parsed?.lengths).toEqual([rows.length, rows[0]?.length]);
        const type = { kind: 'array', element: { kind: 'text' }, dimensions: 2 } as const;
        expect(parseArray(roundTrip(type, text))).toEqual(parsed);
      }),
    );
  });

  it.each(['', '{', '}', '{1,2', '{{1},{2,3}}', '{1}x', 'x{1}', '{"a}', '[1:2]'])(
    'do not take %j for an array',
    (text) => {
      expect(parseArray(text)).toBeNull();
    },
  );

  it.each<[LogicalType, string]>([
    [{ kind: 'int', bits: 16 }, '32768'],
    [{ kind: 'int', bits: 64 }, '9223372036854775808'],
    [{ kind: 'int', bits: 32 }, '1.5'],
    [{ kind: 'decimal', precision: null, scale: null }, ''],
    [{ kind: 'float', bits: 64 }, ''],
    [{ kind: 'date' }, '2024-1-2'],
    [{ kind: 'uuid' }, '1234'],
    [{ kind: 'bytes' }, '\\x123'],
    [{ kind: 'boolean' }, 'yes'],
    [{ kind: 'interval' }, 'P1Y'],
  ])('refuse what is none: %o %s', (type, text) => {
    expect(writeText(type, text, new ByteSink(16))).toBe(false);
  });
});
