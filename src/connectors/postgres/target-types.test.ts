import { expect, test } from 'vitest';

import type { LogicalType } from '../../core/value.ts';
import type { ExistingColumn } from './target-table.ts';
import { columnFits, typeForLogical } from './target-types.ts';

function target(type: string, receive: string, oid = 99): ExistingColumn {
  const flags = { notNull: false, hasDefault: false, generated: false, identityAlways: false };
  const names = {
    bare: type.replace(/\(.*\)/, ''),
    equals: '=',
    output: 'out',
    elementReceive: '-',
  };
  return { ...flags, ...names, name: 'c', type, typmod: -1, receive, oid, elementOid: 0 };
}

const decimal = (precision: number | null, scale: number | null): LogicalType => ({
  kind: 'decimal',
  precision,
  scale,
});

test.each<[LogicalType, string, ExistingColumn, boolean]>([
  [{ kind: 'int', bits: 32 }, 'integer', target('bigint', 'int8recv'), true],
  [{ kind: 'int', bits: 64 }, 'bigint', target('integer', 'int4recv'), false],
  [{ kind: 'int', bits: 32 }, 'integer', target('numeric(10,0)', 'numeric_recv'), true],
  [{ kind: 'int', bits: 32 }, 'integer', target('numeric(9,0)', 'numeric_recv'), false],
  [{ kind: 'float', bits: 64 }, 'double precision', target('real', 'float4recv'), false],
  [decimal(12, 2), 'numeric(12,2)', target('numeric(14,4)', 'numeric_recv'), true],
  [decimal(12, 2), 'numeric(12,2)', target('numeric(13,4)', 'numeric_recv'), false],
  [decimal(null, null), 'numeric', target('numeric(1000,10)', 'numeric_recv'), false],
  [{ kind: 'text' }, 'character varying(10)', target('character varying(9)', 'varcharrecv'), false],
  [{ kind: 'text' }, 'text', target('character varying', 'varcharrecv'), true],
  [{ kind: 'timestamp', zoned: true }, 'timestamptz', target('timestamp', 'timestamp_recv'), false],
  [
    { kind: 'timestamp', zoned: true },
    'timestamptz',
    target('timestamptz(3)', 'timestamptz_recv'),
    false,
  ],
  [{ kind: 'uuid' }, 'uuid', target('text', 'textrecv'), true],
  [{ kind: 'other' }, 'inet', target('bytea', 'bytearecv'), false],
])('%o %s fits %o: %s', (logical, nativeType, column, fits) => {
  expect(columnFits({ logical, nativeType, resolved: null }, column)).toBe(fits);
});

test('maps types of other systems', () => {
  expect(typeForLogical(decimal(10, 2))).toBe('numeric(10,2)');
  expect(typeForLogical(decimal(2000, 2))).toBe('numeric');
  expect(typeForLogical({ kind: 'json' })).toBe('json');
  expect(typeForLogical({ kind: 'array', element: { kind: 'int', bits: 64 }, dimensions: 2 })).toBe(
    'bigint[]',
  );
  expect(typeForLogical({ kind: 'other' })).toBe('text');
});
