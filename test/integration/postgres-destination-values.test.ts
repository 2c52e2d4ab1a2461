import { expect, test } from 'vitest';

import { cellText } from '../../src/connectors/postgres/cell-text.ts';
import { type CellEncoding, hasBinaryForm, type LogicalType } from '../../src/core/value.ts';
import { openDestination, targetOf } from '../support/postgres-destination.ts';
import { column, makeSchema } from '../support/row-specs.ts';
import { describeEachServer } from '../support/shared-servers.ts';

const text: LogicalType = { kind: 'text' };
const arrayOf = (element: LogicalType): LogicalType => ({ kind: 'array', element, dimensions: 1 });

interface ValueCase {
  readonly native: string;
  readonly type: LogicalType;
  readonly values: readonly string[];
}

const cases: readonly ValueCase[] = [
  { native: 'boolean', type: { kind: 'boolean' }, values: ['t', 'f'] },
  { native: 'smallint', type: { kind: 'int', bits: 16 }, values: ['-32768', '32767'] },
  { native: 'integer', type: { kind: 'int', bits: 32 }, values: ['-2147483648', '0'] },
  {
    native: 'bigint',
    type: { kind: 'int', bits: 64 },
    values: ['-9223372036854775808', '9007199254740993'],
  },
  {
    native: 'real',
    type: { kind: 'float', bits: 32 },
    values: ['0.1', '-Infinity', '3.4028235e+38', 'NaN', '-0'],
  },
  {
    native: 'double precision',
    type: { kind: 'float', bits: 64 },
    values: ['0.1', '1e-300', 'NaN', '-0'],
  },
  {
    native: 'numeric',
    type: { kind: 'decimal', precision: null, scale: null },
    values: ['0', '-0.00001', '123456789012345678901234567890.1234500', '10000', 'NaN', '1e-20'],
  },
  {
    native: 'numeric(12,2)',
    type: { kind: 'decimal', precision: 12, scale: 2 },
    values: ['-0.01', '9999999999.99'],
  },
  { native: 'text', type: text, values: ['', 'Grüße 🚰 "quoted"\n\t\\N', 'NULL'] },
  { native: 'character varying(5)', type: text, values: ['abcde', ''] },
  { native: 'character(5)', type: text, values: ['ab', ''] },
  { native: 'name', type: text, values: ['n'] },
  { native: 'bytea', type: { kind: 'bytes' }, values: [String.raw`\x00ff5c`, String.raw`\x`] },
  {
    native: 'date',
    type: { kind: 'date' },
    values: ['2000-02-29', '0044-03-15 BC', 'infinity', '-infinity', '9999-12-31'],
  },
  {
    native: 'time without time zone',
    type: { kind: 'time' },
    values: ['24:00:00', '00:00:00.000001'],
  },
  {
    native: 'timestamp without time zone',
    type: { kind: 'timestamp', zoned: false },
    values: [
      '1999-12-31 23:59:59.999999',
      'infinity',
      '0001-01-01 00:00:00 BC',
      '294276-12-31 23:59:59',
    ],
  },
  {
    native: 'timestamp with time zone',
    type: { kind: 'timestamp', zoned: true },
    values: ['2026-11-21 10:00:00.1+00', '-infinity'],
  },
  {
    native: 'interval',
    type: { kind: 'interval' },
    values: ['-1 mons +5 days -00:00:01.5', '3 years', '0'],
  },
  { native: 'uuid', type: { kind: 'uuid' }, values: ['018f0000-0000-7000-8000-0123456789ab'] },
  { native: 'json', type: { kind: 'json' }, values: ['{"b": 1,  "a": [1, 2]}', 'null'] },
  { native: 'jsonb', type: { kind: 'json' }, values: ['{"a": 1.50}', '"x"'] },
  {
    native: 'integer[]',
    type: arrayOf({ kind: 'int', bits: 32 }),
    values: ['{}', '{{1,NULL},{3,4}}', '[2:3]={5,6}'],
  },
  { native: 'text[]', type: arrayOf(text), values: ['{"",NULL,"null","a,b","\\"\\\\"}'] },
  {
    native: 'numeric[]',
    type: arrayOf({ kind: 'decimal', precision: null, scale: null }),
    values: ['{1.10,-2}'],
  },
  { native: 'character varying(3)[]', type: arrayOf(text), values: ['{abc,d}'] },
  { native: 'jsonb[]', type: arrayOf({ kind: 'json' }), values: ['{"{\\"a\\": 1}",NULL}'] },
  { native: 'inet', type: { kind: 'other' }, values: ['10.0.0.1/8', '::1'] },
  { native: 'bit(3)', type: { kind: 'other' }, values: ['101'] },
  { native: 'bit varying(5)', type: { kind: 'other' }, values: ['101'] },
  { native: 'money', type: { kind: 'other' }, values: ['$1.25'] },
  { native: 'time with time zone', type: { kind: 'other' }, values: ['10:00:00+02'] },
  { native: 'int4range', type: { kind: 'other' }, values: ['[1,5)', 'empty'] },
  { native: 'tsvector', type: { kind: 'other' }, values: [`'a':1 'b':2`] },
  { native: 'xml', type: { kind: 'other' }, values: ['<a>ü</a>'] },
  { native: '"char"', type: { kind: 'other' }, values: ['x'] },
  { native: 'point', type: { kind: 'other' }, values: ['(1.5,-2)'] },
  { native: 'oid', type: { kind: 'other' }, values: ['4294967295'] },
  { native: 'pg_lsn', type: { kind: 'other' }, values: ['16/B374D848'] },
  { native: 'public.mood', type: text, values: ['sad', 'very happy'] },
  { native: 'public.moods', type: arrayOf(text), values: ['{sad}'] },
  { native: 'public.short', type: text, values: ['abc'] },
  { native: 'public.pair', type: { kind: 'other' }, values: ['(1,"a b")'] },
];

const columns = [
  column('id', 'integer', { kind: 'int', bits: 32 }),
  ...cases.map((item, index) => column(`c${index}`, item.native, item.type)),
];
const types = `create type public.mood as enum ('sad', 'very happy');
  create domain public.moods as public.mood[]; create domain public.short as varchar(3);
  create type public.pair as (a int, b text)`;

describeEachServer('values of every type', (server) => {
  for (const wanted of ['binary', 'text'] as const) {
    test(`arrive as they were, ${wanted} cells`, async () => {
      const database = await server.createDatabase();
      await server.query(database, types);
      const list = columns.map((item) => `${item.name} ${item.nativeType}`).join(', ');
      await server.query(database, `create table source (${list})`);
      const most = Math.max(...cases.map((item) => item.values.length));
      for (let row = 0; row <= most; row++) {
        const values = cases.map((item) => item.values[row] ?? null);
        const places = cases.map((item, index) => `$${index + 2}::text::${item.native}`);
        await server.query(database, `insert into source values ($1, ${places.join(', ')})`, [
          row,
          ...values,
        ]);
      }
      const from = targetOf(makeSchema({ name: 'source', columns, key: ['id'] }));
      const target = targetOf(makeSchema({ name: 'copied', columns, key: ['id'] }));
      const encodings = columns.map((item): CellEncoding =>
        hasBinaryForm(item.type) ? wanted : 'text',
      );
      await using destination = await openDestination(server.url(database));
      await using session = await destination.openSession('p');
      await session.prepare(target);
      const chunk = { id: 'c', merge: false, order: '0' };
      const batches = session.read(from, encodings);
      const result = await session.loadChunk(target, chunk, { kind: 'batches', batches });
      expect(result).toMatchObject({ applied: most + 1, deadLettered: 0 });
      // Once more by key: through the stage and its casts.
      const again = session.read(from, encodings);
      await session.loadChunk(
        target,
        { ...chunk, id: 'd', merge: true },
        { kind: 'batches', batches: again },
      );
      const difference = await server.query(
        database,
        `select s.id, s::text as sent, c::text as got from source s full join copied c using (id)
         where s::text is distinct from c::text`,
      );
      expect(difference).toEqual([]);
      expect(await server.query(database, 'select count(*)::int as n from copied')).toEqual([
        { n: most + 1 },
      ]);
    });
  }

  test('print in dead letters as the server prints them', async () => {
    const database = await server.createDatabase();
    await using destination = await openDestination(server.url(database));
    await using session = await destination.openSession('p');
    const printed = cases.filter(
      (item) => hasBinaryForm(item.type) && !item.native.startsWith('public.'),
    );
    for (const [index, item] of printed.entries()) {
      const name = `t${index}`;
      const schema = makeSchema({ name, columns: [column('v', item.native, item.type)] });
      await server.query(database, `create table ${name} (v ${item.native})`);
      for (const value of item.values)
        await server.query(database, `insert into ${name} values ($1::text::${item.native})`, [
          value,
        ]);
      const shown: Record<CellEncoding, (string | null | undefined)[]> = { binary: [], text: [] };
      for (const encoding of ['binary', 'text'] as const) {
        for await (const batch of session.read(targetOf(schema), [encoding])) {
          for (let row = 0; row < batch.rowCount; row++)
            shown[encoding].push(cellText(batch, row, 0));
        }
      }
      // Floats and intervals have several spellings, so the server reads both and prints them itself.
      const [row] = await server.query(
        database,
        `select array(select (x::${item.native})::text from unnest($1::text[]) x) as ours,
           array(select (x::${item.native})::text from unnest($2::text[]) x) as printed`,
        [shown.binary, shown.text],
      );
      expect({ native: item.native, texts: row?.['ours'] }).toEqual({
        native: item.native,
        texts: row?.['printed'],
      });
    }
  });
});
