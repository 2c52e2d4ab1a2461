import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import type { RunEvent } from './pipeline.ts';
import { RunProgress } from './progress.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }));
afterEach(() => void vi.useRealTimers());

function record(): { readonly progress: RunProgress; readonly events: RunEvent[] } {
  const events: RunEvent[] = [];
  const control = {
    drain: new AbortController().signal,
    observe: (event: RunEvent) => void events.push(event),
  };
  return { progress: new RunProgress('shop', control), events };
}

test('the rate of changes is that since the phase began, not since the first piece was applied', () => {
  const { progress, events } = record();
  progress.phase('changes');
  vi.advanceTimersByTime(10_000);
  progress.moved('public.a', 60_000, 120_000);
  progress.report('public.a');
  expect(events.at(-1)).toMatchObject({ rowsPerSecond: 6000, bytesPerSecond: 12_000 });
});

test('a pipeline in which nothing has changed yet tells its lag', () => {
  const { progress, events } = record();
  progress.phase('changes');
  progress.setLag({ lagMs: 0, lagBytes: 56 });
  progress.reportAll();
  expect(events.at(-1)).toMatchObject({
    event: 'progress',
    stream: null,
    rows: 0,
    lagMs: 0,
    lagBytes: 56,
  });
});
