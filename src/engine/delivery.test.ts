import { expect, test } from 'vitest';

import type { LoadMethod } from '../core/connector.ts';
import type { StreamSchema } from '../core/stream-schema.ts';
import { deliveryOf } from './delivery.ts';

const stream = { namespace: 'public', name: 'orders' };

function target(identity: StreamSchema['identity'], load: LoadMethod) {
  const schema: StreamSchema = {
    stream,
    ref: '1',
    version: 1,
    columns: [],
    computed: [],
    identity,
    key: [],
    family: 'test',
  };
  return { id: 'public.orders', schema, table: stream, load, deletes: 'hard' } as const;
}

const replicate = { kind: 'replicate', untilCaughtUp: false } as const;

test.each([
  ['key', 'upsert', 'effectively once'],
  ['key', 'append', 'effectively once'],
  ['whole-row', 'upsert', 'effectively once, equal rows counted'],
  ['whole-row', 'append', 'effectively once'],
  ['none', 'append', 'effectively once, inserts only'],
  ['none', 'upsert', 'paused: no key to follow changes by'],
] as const)('identity %s, load %s: %s', (identity, load, promised) => {
  expect(deliveryOf(replicate, target(identity, load), 'effectively once')).toBe(promised);
});

test('a copy promises no more than each chunk once', () => {
  expect(deliveryOf({ kind: 'copy' }, target('key', 'upsert'), 'effectively once')).toBe(
    'each chunk once',
  );
});
