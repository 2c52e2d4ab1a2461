import { asText, literals, type TypeCase } from './type-case.ts';

const nines = (count: number): string => '9'.repeat(count);

export const numberCases: readonly TypeCase[] = [
  {
    name: 'boolean',
    type: 'boolean',
    values: ['true', 'false'],
    duckdb: { type: 'BOOLEAN', texts: ['true', 'false'] },
  },
  {
    name: 'int2',
    type: 'smallint',
    values: literals('-32768', '32767', '-1', '0'),
    duckdb: { type: 'SMALLINT' },
  },
  {
    name: 'int4',
    type: 'integer',
    values: literals('-2147483648', '2147483647', '-1', '0'),
    duckdb: { type: 'INTEGER' },
  },
  {
    name: 'int8',
    type: 'bigint',
    values: literals('-9223372036854775808', '9223372036854775807', '9007199254740993', '-1'),
    duckdb: { type: 'BIGINT' },
  },
  {
    name: 'float4',
    type: 'real',
    values: literals('0.1', '-0', 'NaN', 'Infinity', '-Infinity', '1e-45', '1.1754944e-38', '3.4028235e+38', '16777217'),
    duckdb: {
      type: 'FLOAT',
      texts: ['0.1', '-0.0', 'nan', 'inf', '-inf', '1e-45', '1.1754944e-38', '3.4028235e+38', '16777216.0'],
    },
  },
  {
    name: 'float8',
    type: 'double precision',
    values: literals('0.30000000000000004', '-0', 'NaN', 'Infinity', '-Infinity', '5e-324', '2.2250738585072014e-308', '1.7976931348623157e+308', '9007199254740993'),
    duckdb: {
      type: 'DOUBLE',
      texts: ['0.30000000000000004', '-0.0', 'nan', 'inf', '-inf', '5e-324', '2.2250738585072014e-308', '1.7976931348623157e+308', '9007199254740992.0'],
    },
  },
  {
    name: 'numeric_small',
    type: 'numeric(4,2)',
    values: literals('-99.99', '0.01', '0'),
    duckdb: { type: 'DECIMAL(4,2)' },
  },
  {
    name: 'numeric_medium',
    type: 'numeric(18,6)',
    values: literals('-999999999999.999999', '0.000001', '10000'),
    duckdb: { type: 'DECIMAL(18,6)' },
  },
  {
    name: 'numeric_38',
    type: 'numeric(38,10)',
    values: literals(`-${nines(28)}.${nines(10)}`, '0.0000000001', '100000000000000000000'),
    duckdb: { type: 'DECIMAL(38,10)' },
  },
  {
    name: 'numeric_39',
    type: 'numeric(39,0)',
    values: literals(nines(39), `-${nines(39)}`, '0'),
    duckdb: asText,
  },
  {
    name: 'numeric_nan',
    type: 'numeric(12,2)',
    values: literals('1.50', 'NaN', '-0.01'),
    duckdb: asText,
  },
  {
    name: 'numeric_any',
    type: 'numeric',
    values: [
      ...literals('0', '1.500', '-0.00000000000000000001', '1e40', 'NaN', 'Infinity', '-Infinity', '10000.0001'),
      "('1' || repeat('0', 131071))::numeric",
      "('0.' || repeat('0', 16382) || '1')::numeric",
    ],
    duckdb: asText,
  },
  {
    name: 'numeric_1000_500',
    type: 'numeric(1000,500)',
    values: literals(`${nines(500)}.${nines(500)}`, `-${nines(500)}.${nines(500)}`, `0.${'0'.repeat(499)}1`),
    duckdb: asText,
  },
  {
    name: 'numeric_negative_scale',
    type: 'numeric(5,-3)',
    since: 15,
    values: literals('99999000', '-1499', '0'),
    duckdb: { type: 'DECIMAL(8,0)' },
  },
  {
    name: 'numeric_scale_over_precision',
    type: 'numeric(3,5)',
    since: 15,
    values: literals('0.00999', '-0.00001'),
    duckdb: { type: 'DECIMAL(5,5)', texts: ['.00999', '-.00001'] },
  },
  {
    name: 'money',
    type: 'money',
    values: literals('-92233720368547758.08', '92233720368547758.07', '0.01'),
    duckdb: asText,
  },
  { name: 'oid', type: 'oid', values: literals('0', '4294967295'), duckdb: asText },
  { name: 'xid8', type: 'xid8', values: literals('18446744073709551615', '0'), duckdb: asText },
  { name: 'pg_lsn', type: 'pg_lsn', values: literals('0/0', 'FFFFFFFF/FFFFFFFF'), duckdb: asText },
  { name: 'int2vector', type: 'int2vector', values: literals('', '1 -2 3'), duckdb: asText },
  { name: 'oidvector', type: 'oidvector', values: literals('', '1 4294967295'), duckdb: asText },
];
