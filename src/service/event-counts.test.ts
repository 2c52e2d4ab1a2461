import { expect, test } from 'vitest';

import { EMPTY_ACCOUNT } from '../core/checkpoint.ts';
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
