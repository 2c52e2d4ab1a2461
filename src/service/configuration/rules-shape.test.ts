import { describe, expect, test } from 'vitest';

import { edit, inspect, problemsOf, SHOP } from '../../../test/support/configuration.ts';

const SERVICE = (line: string) => `${SHOP}service:\n  ${line}\n`;
const RETRY = (line: string) => `${SHOP}    retry_policy:\n      ${line}\n`;
const SOURCE_OPTION = (line: string) =>
  edit(SHOP, [
    '      collection_table: public.orders\n',
    `      collection_table: public.orders\n      change_stream_options:\n        ${line}\n`,
  ]);
const WRITE_OPTION = (line: string) => `${SHOP}      write_options:\n        ${line}\n`;
const KAZAAM = (lines: string) => `${SHOP}transformations:\n  - id: t\n    type: kazaam\n${lines}`;

test('a file that keeps to all rules has no problem', () => {
  expect(problemsOf(SHOP)).toEqual([]);
});

describe('each rule, as a user reads it', () => {
  test.each<[string, string, string[]]>([
    [
      'version missing',
      edit(SHOP, ['version: "1"\n', '']),
      [
        'c.yaml:1:1 version: version is missing (required) — Add version: docs/configuration.md shows what it may be.',
      ],
    ],
    [
      'version not supported',
      edit(SHOP, ['"1"', '"2"']),
      [
        'c.yaml:1:10 version: no version "2" of the format is known (version) — Write version: "1".',
      ],
    ],
    [
      'no streams',
      'version: "1"\n',
      [
        'c.yaml:1:1 streams: streams is missing (required) — Add streams: docs/configuration.md shows what it may be.',
      ],
    ],
    [
      'streams empty',
      'version: "1"\nstreams: []\n',
      [
        'c.yaml:2:10 streams: must have at least 1 entry; found a list (range) — Write a value in that range.',
      ],
    ],
    [
      'streams no list',
      'version: "1"\nstreams:\n  id: x\n',
      [
        'c.yaml:3:3 streams: must be a list; found a mapping (type) — Begin each entry with a hyphen, or write [a, b].',
      ],
    ],
    [
      'stream id missing',
      edit(SHOP, ['  - id: shop\n    source:', '  - source:']),
      [
        'c.yaml:3:5 streams[0].id: id is missing (required) — Add id: docs/configuration.md shows what it may be.',
      ],
    ],
    [
      'stream id malformed',
      edit(SHOP, ['id: shop', 'id: my shop']),
      [
        'c.yaml:3:9 streams[0].id: must be 1 to 100 letters, digits, dots, hyphens or underscores, the first a letter or digit (format) — Write an id such as orders-to-warehouse; name takes any text.',
      ],
    ],
    [
      'name empty',
      edit(SHOP, ['id: shop\n', 'id: shop\n    name: ""\n']),
      [
        'c.yaml:4:11 streams[0].name: must not be empty (format) — Write a text, or leave the field out.',
      ],
    ],
    [
      'a number where a text belongs',
      edit(SHOP, ['id: shop\n', 'id: shop\n    name: 12\n']),
      [
        'c.yaml:4:11 streams[0].name: must be a text; found 12 (type) — Put it into quotes if it looks like a number or a word of YAML.',
      ],
    ],
    [
      'source missing',
      'version: "1"\nstreams:\n  - id: x\n    destination: {type: mysql, connection_string: "mysql://h/d", database: d}\n',
      [
        'c.yaml:3:5 streams[0].source: source is missing (required) — Add source: docs/configuration.md shows what it may be.',
      ],
    ],
    [
      'type unknown',
      edit(SHOP, ['type: postgres', 'type: postgress']),
      [
        'c.yaml:5:13 streams[0].source.type: must be one of postgres, mysql, mongodb, cosmosdb; found "postgress" (one-of) — Did you mean postgres?',
      ],
    ],
    [
      'connection string missing',
      edit(SHOP, ['      connection_string: postgres://ada:secret@shop-db/shop\n', '']),
      [
        'c.yaml:4:5 streams[0].source.connection_string: connection_string is missing (required) — Add connection_string: docs/configuration.md shows what it may be.',
      ],
    ],
    [
      'database missing',
      edit(SHOP, ['      database: shop\n', '']),
      [
        'c.yaml:4:5 streams[0].source.database: database is missing (required) — Add database: docs/configuration.md shows what it may be.',
      ],
    ],
    [
      'database without a value',
      edit(SHOP, ['database: dw', 'database:']),
      [
        'c.yaml:12:7 streams[0].destination.database: database is missing (required) — Add database: docs/configuration.md shows what it may be.',
      ],
    ],
    [
      'enabled no boolean',
      `${SHOP}    enabled: yes\n`,
      [
        'c.yaml:13:14 streams[0].enabled: must be true or false; found "yes" (type) — Write true or false, without quotes.',
      ],
    ],
    [
      'batch size not positive',
      `${SHOP}    batch_size: 0\n`,
      [
        'c.yaml:13:17 streams[0].batch_size: must be at least 1; found 0 (range) — Write a value in that range.',
      ],
    ],
    [
      'batch size no whole number',
      `${SHOP}    batch_size: 1.5\n`,
      [
        'c.yaml:13:17 streams[0].batch_size: must be a whole number; found 1.5 (type) — Write a whole number, without quotes and unit.',
      ],
    ],
    [
      'batch size a text',
      `${SHOP}    batch_size: "many"\n`,
      [
        'c.yaml:13:17 streams[0].batch_size: must be a number; found "many" (type) — Write a number, without quotes.',
      ],
    ],
    [
      'log level',
      SERVICE('log_level: warning'),
      [
        'c.yaml:14:14 service.log_level: must be one of trace, debug, info, warn, error; found "warning" (one-of) — Did you mean warn?',
      ],
    ],
    [
      'log format',
      SERVICE('log_format: xml'),
      [
        'c.yaml:14:15 service.log_format: must be one of json, text; found "xml" (one-of) — Write one of these.',
      ],
    ],
    [
      'port too low',
      SERVICE('metrics_port: 80'),
      [
        'c.yaml:14:17 service.metrics_port: must be at least 1024; found 80 (range) — Write a value in that range.',
      ],
    ],
    [
      'port too high',
      SERVICE('health_port: 65536'),
      [
        'c.yaml:14:16 service.health_port: must be at most 65535; found 65536 (range) — Write a value in that range.',
      ],
    ],
    [
      'ports the same',
      SERVICE('health_port: 9464'),
      [
        'c.yaml:14:16 service.health_port: metrics_port and health_port are both 9464 (unique-port) — Give the health checks and the metrics a port each.',
      ],
    ],
    [
      'shutdown timeout not positive',
      SERVICE('graceful_shutdown_timeout: 0s'),
      [
        'c.yaml:14:30 service.graceful_shutdown_timeout: must be a positive duration (range) — Write an amount with its unit, e.g. 500ms, 30s or 1h30m.',
      ],
    ],
    [
      'shutdown timeout without a unit',
      SERVICE('graceful_shutdown_timeout: "30"'),
      [
        'c.yaml:14:30 service.graceful_shutdown_timeout: must be a positive duration (format) — Write an amount with its unit, e.g. 500ms, 30s or 1h30m.',
      ],
    ],
    [
      'concurrent streams not positive',
      SERVICE('max_concurrent_streams: -1'),
      [
        'c.yaml:14:27 service.max_concurrent_streams: must be at least 1; found -1 (range) — Write a value in that range.',
      ],
    ],
    [
      'max attempts not positive',
      RETRY('max_attempts: 0'),
      [
        'c.yaml:14:21 streams[0].retry_policy.max_attempts: must be at least 1; found 0 (range) — Write a value in that range.',
      ],
    ],
    [
      'initial delay not positive',
      RETRY('initial_delay: 0ms'),
      [
        'c.yaml:14:22 streams[0].retry_policy.initial_delay: must be a positive duration (range) — Write an amount with its unit, e.g. 500ms, 30s or 1h30m.',
      ],
    ],
    [
      'max delay no duration',
      RETRY('max_delay: -1s'),
      [
        'c.yaml:14:18 streams[0].retry_policy.max_delay: must be a positive duration (format) — Write an amount with its unit, e.g. 500ms, 30s or 1h30m.',
      ],
    ],
    [
      'max delay shorter than the initial one',
      RETRY('{ initial_delay: 10s, max_delay: 5s }'),
      [
        'c.yaml:14:40 streams[0].retry_policy.max_delay: max_delay is shorter than initial_delay (range) — Raise max_delay or lower initial_delay.',
      ],
    ],
    [
      'initial delay longer than the longest by default',
      RETRY('initial_delay: 2m'),
      [
        'c.yaml:14:22 streams[0].retry_policy.initial_delay: max_delay (1m unless it is given) is shorter than initial_delay (range) — Raise max_delay or lower initial_delay.',
      ],
    ],
    [
      'multiplier below one',
      RETRY('backoff_multiplier: 0.5'),
      [
        'c.yaml:14:27 streams[0].retry_policy.backoff_multiplier: must be at least 1; found 0.5 (range) — Write a value in that range.',
      ],
    ],
    [
      'an option of the source',
      SOURCE_OPTION('mode: all'),
      [
        'c.yaml:10:15 streams[0].source.change_stream_options.mode: must be one of snapshot_and_changes, changes, snapshot; found "all" (one-of) — Write one of these.',
      ],
    ],
    [
      'an unknown option of the source',
      SOURCE_OPTION('slots: a'),
      [
        'c.yaml:10:9 streams[0].source.change_stream_options.slots: no field is called "slots" here (unknown-key) — Did you mean slot? Fields here: mode, publication, slot, schema_changes, heartbeat_interval, parallel, exclude.',
      ],
    ],
    [
      'a slot that PostgreSQL would refuse',
      SOURCE_OPTION('slot: My-Slot'),
      [
        'c.yaml:10:15 streams[0].source.change_stream_options.slot: must be 1 to 63 lower-case letters, digits or underscores (format) — Write a name that PostgreSQL takes for a replication slot, e.g. shop_orders.',
      ],
    ],
    [
      'too many parts at once',
      SOURCE_OPTION('parallel: 100'),
      [
        'c.yaml:10:19 streams[0].source.change_stream_options.parallel: must be at most 64; found 100 (range) — Write a value in that range.',
      ],
    ],
    [
      'exclude no list',
      SOURCE_OPTION('exclude: public.*'),
      [
        'c.yaml:10:18 streams[0].source.change_stream_options.exclude: must be a list; found another text (type) — Begin each entry with a hyphen, or write [a, b].',
      ],
    ],
    [
      'load',
      WRITE_OPTION('load: merge'),
      [
        'c.yaml:14:15 streams[0].destination.write_options.load: must be one of upsert, append, replace, history; found "merge" (one-of) — Write one of these.',
      ],
    ],
    [
      'deletes',
      WRITE_OPTION('deletes: softly'),
      [
        'c.yaml:14:18 streams[0].destination.write_options.deletes: must be one of hard, soft, ignore; found "softly" (one-of) — Did you mean soft?',
      ],
    ],
    [
      'separator',
      WRITE_OPTION('flatten: " "'),
      [
        'c.yaml:14:18 streams[0].destination.write_options.flatten: must be a separator of 1 to 8 characters without spaces (format) — Write e.g. "_" or "__".',
      ],
    ],
    [
      'schema too long',
      WRITE_OPTION(`schema: ${'s'.repeat(64)}`),
      [
        'c.yaml:14:17 streams[0].destination.write_options.schema: must have at most 63 characters (range) — Write a value in that range.',
      ],
    ],
    [
      'an unknown key at the top',
      `${SHOP}stream: []\n`,
      [
        'c.yaml:13:1 stream: no field is called "stream" here (unknown-key) — Did you mean streams? Fields here: version, service, streams, authentication, transformations.',
      ],
    ],
    [
      'an unknown key that resembles none',
      `${SHOP}zookeeper: []\n`,
      [
        'c.yaml:13:1 zookeeper: no field is called "zookeeper" here (unknown-key) — Remove it, or let it begin with x-. Fields here: version, service, streams, authentication, transformations.',
      ],
    ],
    [
      'transformation type',
      `${SHOP}transformations:\n  - {id: t, type: kazam, specification: {}}\n`,
      [
        'c.yaml:14:19 transformations[0].type: must be one of kazaam, custom; found "kazam" (one-of) — Did you mean kazaam?',
      ],
    ],
    [
      'transformation without a type',
      `${SHOP}transformations:\n  - {id: t, specification: {}}\n`,
      [
        'c.yaml:14:5 transformations[0].type: type is missing (required) — Add type: docs/configuration.md shows what it may be.',
      ],
    ],
    [
      'specification missing',
      KAZAAM(''),
      [
        'c.yaml:14:5 transformations[0].specification: specification is missing (required) — Add specification: docs/configuration.md shows what it may be.',
      ],
    ],
    [
      'kazaam without a spec',
      KAZAAM('    specification: {mode: strict}\n'),
      [
        'c.yaml:16:5 transformations[0].specification.spec: spec is missing (required) — Add spec: docs/configuration.md shows what it may be.',
      ],
    ],
    [
      'kazaam spec no list',
      KAZAAM('    specification: {spec: {operation: shift}}\n'),
      [
        'c.yaml:16:27 transformations[0].specification.spec: must be a list; found a mapping (type) — Begin each entry with a hyphen, or write [a, b].',
      ],
    ],
    [
      'kazaam dialect',
      KAZAAM('    specification: {spec: [], dialect: extend}\n'),
      [
        'c.yaml:16:40 transformations[0].specification.dialect: must be one of kazaam, extended; found "extend" (one-of) — Did you mean extended?',
      ],
    ],
    [
      'on_error',
      KAZAAM('    specification: {spec: []}\n    error_handling: {on_error: deadletter}\n'),
      [
        'c.yaml:17:32 transformations[0].error_handling.on_error: must be one of skip, retry, fail_stream, dead_letter; found "deadletter" (one-of) — Did you mean dead_letter?',
      ],
    ],
    [
      'max retries negative',
      KAZAAM('    specification: {spec: []}\n    error_handling: {max_retries: -1}\n'),
      [
        'c.yaml:17:35 transformations[0].error_handling.max_retries: must be at least 0; found -1 (range) — Write a value in that range.',
      ],
    ],
    [
      'retry delay not positive',
      KAZAAM('    specification: {spec: []}\n    error_handling: {retry_delay: 0s}\n'),
      [
        'c.yaml:17:35 transformations[0].error_handling.retry_delay: must be a positive duration (range) — Write an amount with its unit, e.g. 500ms, 30s or 1h30m.',
      ],
    ],
  ])('%s', (_, text, expected) => {
    expect(problemsOf(text)).toEqual(expected);
  });
});

test('all mistakes are told at once, in the order of their places', () => {
  const text = `${edit(SHOP, ['type: postgres', 'type: pg'], ['database: dw', 'databas: dw'])}service: {health_port: 1}\n`;
  expect(problemsOf(text).map((line) => line.replace(/:\d+ (\S+) .*/, ' $1'))).toEqual([
    'c.yaml:5 streams[0].source.type:',
    'c.yaml:9 streams[0].destination.database:',
    'c.yaml:12 streams[0].destination.databas:',
    'c.yaml:13 service.health_port:',
  ]);
});

test('what is left out has its default', () => {
  const { loaded } = inspect(SHOP);
  const { streams, ...rest } = loaded?.configuration ?? {};
  expect(rest).toEqual({
    version: '1',
    service: {
      log_level: 'info',
      log_format: 'json',
      metrics_port: 9464,
      health_port: 8080,
      graceful_shutdown_timeout: { ms: 30_000 },
      max_concurrent_streams: 8,
    },
    authentication: [],
    transformations: [],
  });
  expect(streams?.[0]).toMatchObject({
    id: 'shop',
    enabled: true,
    batch_size: 10_000,
    retry_policy: {
      max_attempts: 5,
      initial_delay: { ms: 1000 },
      max_delay: { ms: 60_000 },
      backoff_multiplier: 2,
      permanent_error_codes: [],
    },
    source: { change_stream_options: { mode: 'snapshot_and_changes', schema_changes: 'evolve' } },
    destination: { write_options: { load: 'upsert', deletes: 'hard' } },
  });
});

test('names that begin with x- are free, except inside a specification, where they are columns', () => {
  const text = `${SHOP}x-team: shop\ntransformations:\n  - id: t\n    x-a: 1\n    type: custom\n    specification: {mapping: {set: {x-b: 1}}}\n`;
  const { problems, loaded } = inspect(text);
  expect(problems).toEqual([]);
  expect(loaded?.configuration.transformations[0]?.specification).toEqual({
    mapping: { set: { 'x-b': 1 } },
  });
});

test('a version without quotes is understood, and a code keeps its zeros', () => {
  const text = `${edit(SHOP, ['"1"', '1'])}    retry_policy: {permanent_error_codes: [08006, 23505]}\n`;
  const { loaded } = inspect(text);
  expect(loaded?.configuration.streams[0]?.retry_policy.permanent_error_codes).toEqual([
    '08006',
    '23505',
  ]);
});
