import { expect, test } from 'vitest';

import { edit, problemsOf, SHOP } from '../../../test/support/configuration.ts';

const SOURCE_OPTION = (line: string) =>
  edit(SHOP, [
    '      collection_table: public.orders\n',
    `      collection_table: public.orders\n      change_stream_options:\n        ${line}\n`,
  ]);
const WRITE_OPTION = (line: string) => `${SHOP}      write_options:\n        ${line}\n`;
const KAZAAM = (lines: string) => `${SHOP}transformations:\n  - id: t\n    type: kazaam\n${lines}`;

test.each<[string, string, string[]]>([
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
