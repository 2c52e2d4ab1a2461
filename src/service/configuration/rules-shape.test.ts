import { describe, expect, test } from 'vitest';

import { edit, inspect, problemsOf, SHOP } from '../../../test/support/configuration.ts';

const SERVICE = (line: string) => `${SHOP}service:\n  ${line}\n`;
const RETRY = (line: string) => `${SHOP}    retry_policy:\n      ${line}\n`;
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
