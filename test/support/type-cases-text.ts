import { asText, literal, literals, type TypeCase } from './type-case.ts';

/** What COPY and naive quoting trip over. */
const oddTexts = [
  ...literals(
    '',
    ' ',
    'trailing  ',
    '\\N',
    'NULL',
    '\\.',
    '"quoted" \'single\'',
    '{a,b}',
    '日本語 🦆 é',
  ),
  String.raw`E'tab\tnewline\nreturn\rback\\slash\b\f\v\x01\x7f'`,
];

/** 1 MiB that does not compress, so that it is stored out of line. */
const toasted = "(select string_agg(md5(i::text), '') from generate_series(1, 32768) i)";

const HEX = 'hex(v)';

export const textCases: readonly TypeCase[] = [
  { name: 'text', type: 'text', values: [...oddTexts, "'e' || chr(769)", toasted], duckdb: asText },
  { name: 'varchar', type: 'varchar(40)', values: oddTexts, duckdb: asText },
  { name: 'varchar_any', type: 'varchar', values: oddTexts, duckdb: asText },
  {
    name: 'char',
    type: 'char(5)',
    values: literals('', 'ab', 'abcde', 'é🦆', ' a'),
    duckdb: { ...asText, texts: ['     ', 'ab   ', 'abcde', 'é🦆   ', ' a   '] },
  },
  {
    name: 'char_internal',
    type: '"char"',
    values: literals('', 'a', String.raw`\377`, '\\'),
    duckdb: asText,
  },
  { name: 'name', type: 'name', values: literals('', 'a b', 'n'.repeat(63)), duckdb: asText },
  {
    name: 'collated',
    type: 'text collate "C"',
    values: literals('Ä', 'z'),
    duckdb: asText,
  },
  {
    name: 'bytea',
    type: 'bytea',
    values: [
      literal('\\x'),
      literal('\\x00'),
      literal('\\x5c780a09'),
      "(select string_agg(set_byte('\\x00', 0, i), '') from generate_series(0, 255) i)",
      "(select string_agg(decode(md5(i::text), 'hex'), '') from generate_series(1, 8192) i)",
    ],
    duckdb: { type: 'BLOB', sql: String.raw`'\x' || lower(hex(v))` },
  },
  {
    name: 'uuid',
    type: 'uuid',
    values: literals(
      '00000000-0000-0000-0000-000000000000',
      'ffffffff-ffff-ffff-ffff-ffffffffffff',
      '7fffffff-ffff-ffff-8000-000000000000',
      '550e8400-e29b-41d4-a716-446655440000',
    ),
    duckdb: { type: 'UUID' },
  },
  {
    name: 'json',
    type: 'json',
    values: [
      ...literals(
        '{"big": 12345678901234567890123456789, "small": 1e-400, "twice": 1, "twice": 2}',
        '{"__proto__": {"polluted": true}, "constructor": null}',
        String.raw`{"lone": "\ud800", "pair": "\ud83e\udd86", "nul": "\u0000"}`,
        ' [ 1 ,  2.50 ] ',
        'null',
        '"text"',
        '{}',
      ),
      "(repeat('[', 2000) || repeat(']', 2000))::json",
      "(repeat('{\"a\":', 1000) || '1' || repeat('}', 1000))::json",
    ],
    duckdb: { type: 'JSON' },
  },
  {
    name: 'jsonb',
    type: 'jsonb',
    values: [
      ...literals(
        '{"big": 12345678901234567890123456789, "scale": 1.50, "twice": 1, "twice": 2}',
        '{"__proto__": {"polluted": true}, "é🦆": "\\u00e9"}',
        'null',
        '"text"',
        '[]',
        '-0.0',
      ),
      "(repeat('[', 1000) || repeat(']', 1000))::jsonb",
    ],
    duckdb: { type: 'JSON' },
  },
  {
    name: 'xml',
    type: 'xml',
    values: literals('<a b="c">é&amp;<![CDATA[<]]></a>', '', 'text only'),
    duckdb: asText,
  },
  {
    name: 'tsvector',
    type: 'tsvector',
    values: literals('', "'a':1A,3 'b c':2 'it''s'"),
    duckdb: asText,
  },
  {
    name: 'tsquery',
    type: 'tsquery',
    values: literals("'a' & !'b c' <2> 'd':*AB"),
    duckdb: asText,
  },
  {
    name: 'bytea_array',
    type: 'bytea[]',
    values: literals('{}', String.raw`{"\\x00ff",NULL,"\\x"}`),
    duckdb: {
      type: 'BLOB[]',
      sql: `list_transform(v, lambda e: ${HEX.replace('v', 'e')})::VARCHAR`,
      texts: ['[]', "[00FF, NULL, '']"],
    },
  },
  {
    name: 'text_array',
    type: 'text[]',
    values: literals('{}', String.raw`{"",NULL,"NULL","a,b","{x}","q\"b\\s"," lead","é🦆"}`),
    duckdb: {
      type: 'VARCHAR[]',
      sql: `to_json(v)::VARCHAR`,
      texts: ['[]', String.raw`["",null,"NULL","a,b","{x}","q\"b\\s"," lead","é🦆"]`],
    },
  },
  {
    name: 'varchar_array',
    type: 'varchar(3)[]',
    values: literals('{abc,NULL,""}'),
    duckdb: { type: 'VARCHAR[]', sql: `to_json(v)::VARCHAR`, texts: ['["abc",null,""]'] },
  },
  {
    name: 'char_array',
    type: 'char(3)[]',
    values: literals('{a,NULL,""}'),
    duckdb: { type: 'VARCHAR[]', sql: `to_json(v)::VARCHAR`, texts: ['["a  ",null,"   "]'] },
  },
  {
    name: 'uuid_array',
    type: 'uuid[]',
    values: literals('{550e8400-e29b-41d4-a716-446655440000,NULL}', '{}'),
    duckdb: { type: 'UUID[]', texts: ['[550e8400-e29b-41d4-a716-446655440000, NULL]', '[]'] },
  },
  {
    name: 'json_array',
    type: 'json[]',
    values: literals(String.raw`{"{\"a\":  1}",NULL,"[]"}`),
    duckdb: { type: 'JSON[]', sql: 'v::VARCHAR[]::VARCHAR', texts: [`['{"a":  1}', NULL, '[]']`] },
  },
  {
    name: 'jsonb_array',
    type: 'jsonb[]',
    values: literals(String.raw`{"{\"a\": 1.50}",NULL,"\"t\""}`, '{}'),
    duckdb: {
      type: 'JSON[]',
      sql: 'v::VARCHAR[]::VARCHAR',
      texts: [`['{"a": 1.50}', NULL, '"t"']`, '[]'],
    },
  },
];
