import fc from 'fast-check';
import { expect, test } from 'vitest';

import { derivePipelineName, type PipelineFacts } from './pipeline-name.ts';

const facts: PipelineFacts = {
  source: { identity: 'postgres:localhost:5432/shop', label: 'shop' },
  destination: { identity: 'duckdb:0123456789abcdef', label: 'warehouse' },
  selection: [],
  targetNamespace: null,
  load: 'upsert',
};

test('is readable and never changes: pipelines are resumed by it', () => {
  expect(derivePipelineName(facts)).toBe('shop_warehouse_71ee1dfa');
});

test.each<[string, Partial<PipelineFacts>]>([
  ['source', { source: { identity: 'postgres:other:5432/shop', label: 'shop' } }],
  ['destination', { destination: { identity: 'duckdb:x', label: 'warehouse' } }],
  ['selection', { selection: ['public.orders'] }],
  ['schema', { targetNamespace: 'copy' }],
  ['load method', { load: 'append' }],
])('differs by %s', (_what, change) => {
  expect(derivePipelineName({ ...facts, ...change })).not.toBe(derivePipelineName(facts));
});

test('fits the rule for names whatever the labels are', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.string(), (one, other) => {
      const name = derivePipelineName({
        ...facts,
        source: { identity: one, label: one },
        destination: { identity: other, label: other },
      });
      return /^[a-z0-9_]{1,40}$/.test(name);
    }),
  );
});
