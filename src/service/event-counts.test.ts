import { expect, test } from 'vitest';

import { EMPTY_ACCOUNT } from '../core/checkpoint.ts';
import type { RunEvent } from '../engine/pipeline.ts';
import { EventMeter } from './event-counts.ts';

const account = (read: number, parts: Partial<typeof EMPTY_ACCOUNT> = {}) => ({
  ...EMPTY_ACCOUNT,
  read,
  ...parts,
});

test('events go from received over writing to how they ended', () => {
  const meter = new EventMeter();
  meter.moved('public.a', 10);
  expect(meter.counts()).toMatchObject({ received: 10, writing: 10, completed: 0 });
  meter.counted('public.a', account(10, { applied: 6, folded: 1, filtered: 2, deadLettered: 1 }));
  expect(meter.counts()).toEqual({
    received: 10,
    transforming: 0,
    writing: 0,
    completed: 7,
    failed: 1,
    retrying: 0,
    filtered: 2,
    deadLettered: 1,
    retries: 0,
  });
});

test('what a broken attempt held is retrying until it comes again', () => {
  const meter = new EventMeter();
  meter.moved('public.a', 5);
  meter.moved('public.b', 2);
  meter.brokeOff();
  expect(meter.counts()).toMatchObject({ received: 7, writing: 0, retrying: 7 });
  meter.moved('public.a', 5);
  expect(meter.counts()).toMatchObject({ received: 7, writing: 5, retrying: 2 });
  meter.counted('public.a', account(5, { applied: 5 }));
  meter.moved('public.b', 2);
  meter.counted('public.b', account(2, { applied: 2 }));
  expect(meter.counts()).toMatchObject({ received: 7, completed: 7, writing: 0, retrying: 0 });
});

test('what is left out at once was never on its way', () => {
  const meter = new EventMeter();
  meter.counted('public.a', account(3, { filtered: 3 }));
  expect(meter.counts()).toMatchObject({ received: 3, filtered: 3, writing: 0 });
});

const at = '2026-01-01T00:00:00.000Z';
const progress = (lagBytes: number): RunEvent => ({
  event: 'progress',
  at,
  pipeline: 'p',
  stream: null,
  phase: 'changes',
  rows: 0,
  rowsPerSecond: 0,
  bytes: 0,
  bytesPerSecond: 0,
  totalRows: null,
  etaMs: null,
  lagMs: 0,
  lagBytes,
});

test('what does not come again is no longer retrying once nothing is left to come', () => {
  const meter = new EventMeter();
  meter.moved('public.a', 5);
  meter.brokeOff();
  meter.observe(progress(10));
  expect(meter.counts()).toMatchObject({ received: 5, retrying: 5 });
  meter.observe(progress(0));
  expect(meter.counts()).toMatchObject({ received: 5, retrying: 0 });
});

test('what a table that is set aside had on its way is not being written', () => {
  const meter = new EventMeter();
  meter.moved('public.a', 5);
  meter.moved('public.b', 2);
  const pause = { code: 'schema_change', reason: 'r', fix: 'f' };
  meter.observe({ event: 'stream-paused', at, pipeline: 'p', stream: 'public.a', ...pause });
  meter.brokeOff();
  expect(meter.counts()).toMatchObject({ received: 7, writing: 0, retrying: 2 });
});

test('what was received is never less than it was', () => {
  const meter = new EventMeter();
  meter.moved('public.a', 5);
  meter.ended();
  expect(meter.counts()).toMatchObject({ received: 5, writing: 0, retrying: 0 });
  meter.moved('public.a', 5);
  meter.counted('public.a', account(5, { applied: 5 }));
  expect(meter.counts()).toMatchObject({ received: 5, completed: 5 });
});
