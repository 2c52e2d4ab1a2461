import { expect, test } from 'vitest';

import type { RunEvent, RunResult } from '../engine/pipeline.ts';
import { afterEvent, afterResult, lagMsAt, NEW_STREAM, type StreamFacts } from './stream-state.ts';

const at = '2026-01-01T00:00:00.000Z';
const base = { at, pipeline: 'p', stream: null } as const;

const progress = (phase: 'snapshot' | 'changes', stream: string | null = null): RunEvent => ({
  ...base,
  stream,
  event: 'progress',
  phase,
  rows: 1,
  rowsPerSecond: 1,
  bytes: 1,
  bytesPerSecond: 1,
  totalRows: null,
  etaMs: null,
  lagMs: 5,
  lagBytes: 7,
});
const retry: RunEvent = {
  ...base,
  event: 'retry',
  attempt: 1,
  delayMs: 1500,
  error: { code: 'unreachable', class: 'transient', message: 'gone', fix: '', stream: null },
};
const paused = (stream: string): RunEvent => ({
  ...base,
  stream,
  event: 'stream-paused',
  code: 'no_key',
  reason: 'it has no key',
  fix: '',
});

function after(...events: readonly RunEvent[]): StreamFacts {
  return events.reduce(afterEvent, NEW_STREAM);
}

test('starting, snapshot, streaming; lag and position as last told', () => {
  expect(after({ ...base, event: 'started', mode: 'replicate' }).condition).toBe('starting');
  expect(after(progress('snapshot', 'public.a')).condition).toBe('snapshot');
  const streaming = after(progress('changes'), {
    ...base,
    event: 'checkpoint',
    position: '0/10',
  });
  expect(streaming).toMatchObject({
    condition: 'streaming',
    lagMs: 5,
    lagBytes: 7,
    position: '0/10',
    committedAt: at,
  });
});

test('a retry tells why and when; work that goes on ends it', () => {
  const waiting = after(progress('changes'), retry);
  expect(waiting).toMatchObject({
    condition: 'retrying',
    nextRetryAt: '2026-01-01T00:00:01.500Z',
    lagBytes: null,
    lastError: { code: 'unreachable', message: 'gone', at },
  });
  expect(afterEvent(waiting, progress('changes'))).toMatchObject({
    condition: 'streaming',
    nextRetryAt: null,
  });
});

test('a stream that begins again to try has not recovered before it works', () => {
  const again = after(retry, { ...base, event: 'started', mode: 'replicate' });
  expect(again).toMatchObject({ condition: 'retrying', nextRetryAt: null });
});

test('the position is known as soon as changes are followed, not only with the first commit', () => {
  const following = after({ ...base, event: 'phase', phase: 'changes', position: '0/8' });
  expect(following).toMatchObject({ condition: 'streaming', position: '0/8', committedAt: null });
});

test('lag grows while nobody measures it', () => {
  const now = Date.parse(at);
  const following = after(progress('changes'));
  expect(lagMsAt(following, now + 900)).toBe(5);
  expect(lagMsAt(following, now + 60_000)).toBe(60_005);
  expect(lagMsAt(afterEvent(following, retry), now + 60_000)).toBe(60_005);
  expect(lagMsAt({ ...following, condition: 'stopped' }, now + 60_000)).toBe(5);
  expect(lagMsAt(NEW_STREAM, now)).toBeNull();
});

test('paused is a stream none of whose tables goes on', () => {
  const one = after(
    progress('changes', 'public.a'),
    progress('changes', 'public.b'),
    paused('public.a'),
  );
  expect(one.condition).toBe('streaming');
  expect(one.lastError?.code).toBe('no_key');
  const both = afterEvent(one, paused('public.b'));
  expect(both.condition).toBe('paused');
  expect(afterEvent(both, progress('changes')).condition).toBe('paused');
});

test('a result ends as stopped or failed', () => {
  const result: RunResult = {
    pipeline: 'p',
    status: 'completed',
    durationMs: 1,
    streams: [],
    position: { from: null, to: '0/20' },
    lagMs: null,
    error: null,
    begun: true,
    repaired: null,
  };
  expect(afterResult(NEW_STREAM, result, at)).toMatchObject({
    condition: 'stopped',
    position: '0/20',
  });
  const error = {
    code: 'position_lost',
    class: 'position-lost',
    message: 'lost',
    fix: '',
    stream: null,
  } as const;
  const behind = { ...NEW_STREAM, lagMs: 5, lagBytes: 7 };
  expect(afterResult(behind, { ...result, status: 'failed', error }, at)).toMatchObject({
    condition: 'failed',
    lagBytes: null,
    lastError: { code: 'position_lost', message: 'lost', at },
  });
});
