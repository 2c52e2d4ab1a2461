import { expect, test } from 'vitest';

import { Places } from './places.ts';

const never = new AbortController().signal;

test('as many as the limit run; the next comes when one has ended, in order', async () => {
  const places = new Places(2);
  const order: string[] = [];
  const first = await places.take(never);
  await places.take(never);
  const third = places.take(never).then(() => order.push('third'));
  const fourth = places.take(never).then(() => order.push('fourth'));
  expect(places.waiting).toBe(2);
  first?.[Symbol.dispose]();
  await third;
  expect(order).toEqual(['third']);
  places.setLimit(3);
  await fourth;
  expect(places.waiting).toBe(0);
});

test('who is told to stop while waiting gets no place and takes none', async () => {
  const places = new Places(1);
  const held = await places.take(never);
  const stop = new AbortController();
  const waiting = places.take(stop.signal);
  stop.abort();
  expect(await waiting).toBeNull();
  expect(places.waiting).toBe(0);
  held?.[Symbol.dispose]();
  expect(await places.take(never)).not.toBeNull();
  expect(await places.take(AbortSignal.abort())).toBeNull();
});
