import { describe, expect, test } from 'vitest';

import { problemsOf } from '../../../test/support/configuration.ts';

interface Side {
  readonly type?: string;
  readonly connection: string;
  readonly database?: string;
  readonly table?: string;
  readonly options?: Readonly<Record<string, unknown>>;
}

interface Stream {
  readonly from: Side;
  readonly to: Side;
  readonly enabled?: boolean;
}

function side(
  { type = 'postgres', connection, database = 'shop', table, options }: Side,
  role: string,
) {
  return {
    type,
    connection_string: connection,
    database,
    collection_table: table,
    [role]: options,
  };
}

/** Streams a, b, c ... */
function file(...streams: readonly Stream[]): string {
  return JSON.stringify({
    version: '1',
    streams: streams.map(({ from, to, enabled = true }, index) => ({
      id: 'abcdefgh'[index],
      source: side(from, 'change_stream_options'),
      destination: side(to, 'write_options'),
      enabled,
    })),
  });
}

const pg = (host: string, table?: string, options?: Side['options']): Side => ({
  connection: `postgres://ada@${host}/shop`,
  ...(table === undefined ? {} : { table }),
  ...(options === undefined ? {} : { options }),
});

const rulesOf = (...streams: readonly Stream[]): string[] =>
  problemsOf(file(...streams)).map((line) => /\(([a-z-]+)\) —/.exec(line)?.[1] ?? line);

test('identical, as a user reads it', () => {
  const text = `version: "1"
streams:
  - id: shop
    source: {type: postgres, connection_string: "postgres://ada@localhost/shop", database: shop}
    destination: {type: postgres, connection_string: "postgres://bob@127.0.0.1:5432/shop", database: shop}
`;
  expect(problemsOf(text)).toEqual([
    'c.yaml:5:5 streams[0].destination: source and destination are the same tables (not-identical) — Give another database, collection_table or write_options.schema; or exclude what the stream writes.',
  ]);
});

test('a circle, as a user reads it', () => {
  const text = `version: "1"
streams:
  - id: there
    source: {type: postgres, connection_string: "postgres://one/shop", database: shop}
    destination: {type: postgres, connection_string: "postgres://two/shop", database: shop}
  - id: back
    source: {type: postgres, connection_string: "postgres://two/shop", database: shop}
    destination: {type: postgres, connection_string: "postgres://one/shop", database: shop}
`;
  expect(problemsOf(text)).toEqual([
    'c.yaml:8:5 streams[1].destination: these streams feed one another in a circle: there -> back -> there (no-circle) — Let one of them write other tables, disable it, or exclude the tables that another one writes.',
  ]);
});

describe('one system by several names', () => {
  test.each<[string, Side, Side]>([
    ['loopback names', pg('localhost'), pg('127.0.0.1')],
    ['loopback of IPv6', pg('localhost'), pg('[::1]')],
    ['IPv6 written out', pg('[::1]'), pg('[0:0:0:0:0:0:0:1]')],
    ['the usual port', pg('db.example.net'), pg('DB.example.net.:5432')],
    ['another user', pg('h'), { connection: 'postgres://eve:x@h/shop' }],
    ['the other scheme', pg('h'), { connection: 'postgresql://h/shop' }],
    ['key and value', pg('h'), { connection: 'host=h dbname=shop' }],
    [
      'the usual socket',
      pg('localhost'),
      { connection: 'postgres://ada@/shop?host=/var/run/postgresql' },
    ],
    [
      'one socket',
      { connection: 'postgres:///shop?host=/srv/a&port=5433' },
      { connection: 'postgres://ada@/shop?port=5433&host=/srv/a' },
    ],
    ['a name without a schema', pg('h', 'orders'), pg('h', 'public.orders')],
    [
      'MySQL',
      { type: 'mysql', connection: 'mysql://h' },
      { type: 'mysql', connection: 'mysql://H:3306/shop' },
    ],
    [
      'a member of a replica set',
      { type: 'mongodb', connection: 'mongodb://a,b:27018/shop' },
      { type: 'mongodb', connection: 'mongodb://b:27018' },
    ],
    [
      'an account by two APIs',
      {
        type: 'cosmosdb',
        connection: 'AccountEndpoint=https://Shop.documents.azure.com:443/;AccountKey=eA==',
      },
      {
        type: 'cosmosdb',
        connection: 'mongodb://shop:eA@shop.mongo.cosmos.azure.com:10255/?ssl=true',
      },
    ],
    [
      'the same reference',
      { connection: '${env:NOT_SET_ANYWHERE}' },
      { connection: '${env:NOT_SET_ANYWHERE}' },
    ],
    ['everything, also what is written', pg('h'), pg('h', undefined, { schema: 'copy' })],
  ])('%s', (_, from, to) => {
    expect(rulesOf({ from, to })).toEqual(['not-identical']);
  });

  test.each<[string, Side, Side]>([
    ['another host', pg('h'), pg('g')],
    ['another port', pg('h'), pg('h:5433')],
    [
      'another socket',
      { connection: 'postgres:///shop?host=/srv/a' },
      { connection: 'postgres:///shop?host=/srv/b' },
    ],
    ['another database', pg('h'), { connection: 'postgres://h', database: 'dw' }],
    ['another table', pg('h', 'public.orders'), pg('h', 'public.orders_copy')],
    ['another schema', pg('h', 'public.*'), pg('h', undefined, { schema: 'copy' })],
    [
      'all, without those that are written',
      pg('h', undefined, { exclude: ['copy.*'] }),
      pg('h', undefined, { schema: 'copy' }),
    ],
    [
      'another type on the same port',
      pg('h:3306'),
      { type: 'mysql', connection: 'mysql://h:3306/shop' },
    ],
    ['another reference', { connection: '${env:A_NOT_SET}' }, { connection: '${env:B_NOT_SET}' }],
  ])('%s is another one', (_, from, to) => {
    expect(rulesOf({ from, to })).toEqual([]);
  });
});

describe('circles', () => {
  const [a, b, c] = ['a', 'b', 'c'].map((host) => (table?: string) => pg(host, table));
  if (a === undefined || b === undefined || c === undefined) throw new Error('three hosts');

  test.each<[string, Stream[], string[]]>([
    [
      'over three',
      [
        { from: a(), to: b() },
        { from: b(), to: c() },
        { from: c(), to: a() },
      ],
      ['no-circle'],
    ],
    [
      'on the same table alone',
      [
        { from: a('public.orders'), to: b() },
        { from: b('public.*'), to: a() },
      ],
      ['no-circle'],
    ],
    [
      'two apart',
      [
        { from: a('public.x'), to: b() },
        { from: b('public.x'), to: a() },
        { from: a('public.y'), to: c() },
        { from: c('public.y'), to: a() },
      ],
      ['no-circle', 'no-circle'],
    ],
    [
      'through another type and back',
      [
        { from: a('public.orders'), to: { type: 'mysql', connection: 'mysql://m/shop' } },
        { from: { type: 'mysql', connection: 'mysql://m/shop', table: 'orders' }, to: a() },
      ],
      ['no-circle'],
    ],
    [
      'none: other tables',
      [
        { from: a('public.orders'), to: b() },
        { from: b('public.customers'), to: a() },
      ],
      [],
    ],
    [
      'none: one after the other',
      [
        { from: a(), to: b() },
        { from: b(), to: c() },
      ],
      [],
    ],
    [
      'none: one into several',
      [
        { from: a(), to: b() },
        { from: a(), to: c() },
      ],
      [],
    ],
    [
      'none: the way back is disabled',
      [
        { from: a(), to: b() },
        { from: b(), to: a(), enabled: false },
      ],
      [],
    ],
    [
      'none: written under another name',
      [
        { from: a('public.orders'), to: b('public.orders_copy') },
        { from: b('public.orders'), to: a() },
      ],
      [],
    ],
  ])('%s', (_, streams, expected) => {
    expect(rulesOf(...streams)).toEqual(expected);
  });
});
