/** A table with a column of every kind of type, and rows with the values at their edges. */
import type { PgConnection } from '../../connectors/postgres/connection.ts';

/** Column, type, and expressions: an ordinary value (of `i`), the least, the greatest, an odd one. */
type Sample = readonly [
  name: string,
  type: string,
  ordinary: string,
  least: string,
  greatest: string,
  odd: string,
];

const SAMPLES: readonly Sample[] = [
  ['a_boolean', 'boolean', 'i % 2 = 0', 'false', 'true', 'true'],
  ['a_smallint', 'smallint', 'i', '-32768', '32767', '0'],
  ['an_integer', 'integer', 'i * 1000', '-2147483648', '2147483647', '0'],
  [
    'a_bigint',
    'bigint',
    'i * 10000000000',
    '-9223372036854775808',
    '9223372036854775807',
    '9007199254740993',
  ],
  ['a_real', 'real', 'i / 3.0', "'-3.4028235e38'", "'3.4028235e38'", "'NaN'"],
  [
    'a_double',
    'double precision',
    'i / 7.0',
    "'-1.7976931348623157e308'",
    "'5e-324'",
    "'-Infinity'",
  ],
  ['a_numeric', 'numeric', 'i / 11.0', "'-1e-200'", "'1e200'", "'NaN'"],
  [
    'an_amount',
    'numeric(20,4)',
    'i / 13.0',
    "'-9999999999999999.9999'",
    "'9999999999999999.9999'",
    '0',
  ],
  ['a_wide_amount', 'numeric(50,10)', 'i / 17.0', "'-1e39'", "'1e39'", "'0.0000000001'"],
  ['a_char', 'char(5)', "'c' || i % 100", "''", "'zzzzz'", "'é'"],
  [
    'a_varchar',
    'varchar(40)',
    "'varchar ' || i",
    "''",
    "repeat('z', 40)",
    "E'tab\\tline\\nquote''\"\\\\'",
  ],
  ['a_text', 'text', "'text ' || i", "''", "repeat('long ', 2000)", "'日本語 🦆 \\N NULL'"],
  ['a_name', 'name', "'name' || i", "''", "repeat('n', 63)", "'x'"],
  ['some_bytes', 'bytea', "decode(md5(i::text), 'hex')", "''", "'\\xff'", "'\\x00010203007f80ff'"],
  ['a_date', 'date', "date '2024-01-01' + i", "'4713-01-01 BC'", "'5874897-12-31'", "'infinity'"],
  [
    'a_time',
    'time',
    "time '00:00' + i * interval '1 second'",
    "'00:00:00'",
    "'24:00:00'",
    "'23:59:59.999999'",
  ],
  ['a_timetz', 'timetz', "'12:00:00+02'", "'00:00:00+14'", "'24:00:00-14'", "'04:05:06.789-08:30'"],
  [
    'a_timestamp',
    'timestamp',
    "timestamp '2024-01-01' + i * interval '1 minute'",
    "'4713-01-01 00:00:00 BC'",
    "'9999-12-31 23:59:59.999999'",
    "'-infinity'",
  ],
  [
    'a_timestamptz',
    'timestamptz',
    "timestamptz '2024-01-01' + i * interval '1 minute'",
    "'0044-03-15 12:00:00+00 BC'",
    "'9999-12-31 23:59:59.999999+00'",
    "'infinity'",
  ],
  [
    'an_interval',
    'interval',
    "i * interval '1 hour'",
    "'-10 years -3 mons -4 days -05:06:07.000008'",
    "'1000 years'",
    "'1 mon -1 day 00:00:00.000001'",
  ],
  [
    'a_uuid',
    'uuid',
    'md5(i::text)::uuid',
    "'00000000-0000-0000-0000-000000000000'",
    "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
    "'123e4567-e89b-12d3-a456-426614174000'",
  ],
  [
    'a_json',
    'json',
    "json_build_object('i', i)",
    "'null'",
    '\'{"a":  [1, 2.50, "x"],"a":1}\'',
    '\'"\\u00e9"\'',
  ],
  [
    'a_jsonb',
    'jsonb',
    "jsonb_build_object('i', i)",
    "'null'",
    '\'{"a": [1, 2.50, {"b": null}]}\'',
    '\'"🦆"\'',
  ],
  [
    'an_xml',
    'xml',
    "('<i>' || i || '</i>')::xml",
    "'<a/>'",
    '\'<a b="c">d &amp; e</a>\'',
    "'text'",
  ],
  ['some_bits', 'bit(5)', 'i::bit(5)', "B'00000'", "B'11111'", "B'10101'"],
  ['more_bits', 'bit varying', 'i::bit(12)::varbit', "B''", "repeat('1', 100)::varbit", "B'01'"],
  ['an_inet', 'inet', "'10.0.0.1'::inet + i", "'0.0.0.0/0'", "'ffff::/16'", "'192.168.1.5/24'"],
  ['a_cidr', 'cidr', "'10.0.0.0/8'", "'0.0.0.0/0'", "'2001:db8::/32'", "'192.168.0.0/16'"],
  [
    'a_macaddr',
    'macaddr',
    "'08:00:2b:01:02:03'",
    "'00:00:00:00:00:00'",
    "'ff:ff:ff:ff:ff:ff'",
    "'08:00:2b:01:02:03'",
  ],
  [
    'some_money',
    'money',
    'i::money',
    "'-92233720368547758.08'",
    "'92233720368547758.07'",
    "'0.01'",
  ],
  [
    'a_tsvector',
    'tsvector',
    "to_tsvector('simple', 'row number ' || i)",
    "''",
    "to_tsvector('simple', 'the quick brown fox')",
    "'''it''''s'':1A'",
  ],
  ['a_point', 'point', 'point(i, i / 3.0)', "'(-1e300,0)'", "'(1e300,0)'", "'(NaN,Infinity)'"],
  ['a_range', 'int4range', 'int4range(i, i + 10)', "'empty'", "'(,)'", "'[1,2]'"],
  [
    'a_time_range',
    'tstzrange',
    "tstzrange('2024-01-01', null)",
    "'empty'",
    "'(,)'",
    "'[2024-01-01,2024-02-01)'",
  ],
  [
    'some_ranges',
    'nummultirange',
    'nummultirange(numrange(i, i + 1))',
    "'{}'",
    "'{(,)}'",
    "'{[1,2),[3,4]}'",
  ],
  [
    'an_enum',
    'public.mood',
    "(array['sad', 'ok', 'happy'])[1 + i % 3]::public.mood",
    "'sad'",
    "'happy'",
    "'it''s \"odd\"'",
  ],
  ['a_domain', 'public.positive', 'i + 1', '1', '2147483647', '7'],
  [
    'a_composite',
    'public.address',
    "row('Street ' || i, i, null)::public.address",
    'row(null, null, null)::public.address',
    "row('a,b', 1, '\"q\"')::public.address",
    "row('', 0, '(x)')::public.address",
  ],
  [
    'some_ints',
    'integer[]',
    'array[i, i + 1]',
    "'{}'",
    "'{-2147483648,2147483647}'",
    "'{NULL,1,NULL}'",
  ],
  [
    'some_texts',
    'text[]',
    "array['a' || i, null]",
    "'{}'",
    "array['', 'NULL', null]",
    "array['a,b', '\"q\"', E'new\\nline', '{}']",
  ],
  [
    'a_matrix',
    'integer[][]',
    'array[[i, 1], [2, 3]]',
    "'{}'",
    "'{{1,2,3},{4,5,6}}'",
    "'{{NULL,1},{2,NULL}}'",
  ],
  [
    'a_shifted_array',
    'integer[]',
    'array[i]',
    "'{}'",
    "'[5:6]={1,2}'",
    "'[0:1][-1:0]={{1,2},{3,4}}'",
  ],
  [
    'some_uuids',
    'uuid[]',
    'array[md5(i::text)::uuid]',
    "'{}'",
    "array['ffffffff-ffff-ffff-ffff-ffffffffffff']::uuid[]",
    "'{NULL}'",
  ],
  [
    'some_enums',
    'public.mood[]',
    "'{sad,ok}'",
    "'{}'",
    "'{happy,NULL}'",
    "array['it''s \"odd\"']::public.mood[]",
  ],
  ['an_oid', 'oid', 'i', '0', '4294967295', '1259'],
  ['a_log_position', 'pg_lsn', "'0/16B3748'", "'0/0'", "'FFFFFFFF/FFFFFFFF'", "'1/0'"],
  ['a_citext', 'public.citext', "('CiText ' || i)::public.citext", "''", "'ÄÖÜ'", "'MiXeD'"],
  [
    'an_hstore',
    'public.hstore',
    "public.hstore('i', i::text)",
    "''",
    '\'a=>NULL, b=>"c d"\'',
    '\'"q\\""=>1\'',
  ],
];

const TYPES = `
create extension if not exists citext with schema public;
create extension if not exists hstore with schema public;
create type public.mood as enum ('sad', 'ok', 'happy', 'it''s "odd"');
create domain public.positive as integer check (value > 0);
create type public.address as (street text, number integer, city text);
`;

export async function createTypeSamples(connection: PgConnection): Promise<void> {
  await connection.execute(TYPES);
  const columns = SAMPLES.map(([name, type]) => `  ${name} ${type}`);
  await connection.execute(
    `create table public.type_samples (\n  id integer primary key,\n${columns.join(',\n')},\n` +
      `  doubled integer generated always as (a_smallint * 2) stored\n)`,
  );
}

/** Row 1 holds only NULLs, 2 to 4 the edges, the others ordinary values. */
export async function fillTypeSamples(connection: PgConnection, rows: number): Promise<void> {
  const names = SAMPLES.map(([name]) => name).join(', ');
  const edges = ([2, 3, 4] as const).map(
    (id) => `(${[id, ...SAMPLES.map((sample) => sample[id + 1])].join(', ')})`,
  );
  await connection.execute('insert into public.type_samples (id) values (1)');
  for (const edge of edges) {
    await connection.execute(`insert into public.type_samples (id, ${names}) values ${edge}`);
  }
  const ordinary = SAMPLES.map(([, , expression]) => expression).join(', ');
  await connection.execute(
    `insert into public.type_samples (id, ${names})
     select i + 4, ${ordinary} from generate_series(1, ${rows - 4}) i`,
  );
}
