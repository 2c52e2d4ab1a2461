import { describe, expect, test } from 'vitest';

import type { RunEvent } from '../../engine/pipeline.ts';
import { makeStyle } from '../terminal.ts';
import { clip, drawBar, drawPicture } from './picture.ts';
import { plainLine } from './plain-view.ts';
import { printEvent } from './json-view.ts';
import { applyEvent, INITIAL_STATE, type RunState } from './run-state.ts';

const START = Date.parse('2026-01-01T00:00:00Z');

type Body = RunEvent extends infer E
  ? E extends RunEvent
    ? Omit<E, 'at' | 'pipeline'>
    : never
  : never;

function fold(...bodies: readonly [atMs: number, body: Body][]): RunState {
  return bodies.reduce((state, [atMs, body]) => {
    const at = new Date(START + atMs).toISOString();
    return applyEvent(state, { at, pipeline: 'shop', ...body });
  }, INITIAL_STATE);
}

function progress(stream: string, phase: 'snapshot' | 'changes', rows: number): Body {
  return {
    event: 'progress',
    stream,
    phase,
    rows,
    rowsPerSecond: rows,
    bytes: rows * 100,
    bytesPerSecond: rows * 100,
    totalRows: phase === 'snapshot' ? 1000 : null,
    etaMs: phase === 'snapshot' ? 3000 : null,
    lagMs: phase === 'changes' ? 45 : null,
    lagBytes: phase === 'changes' ? 2048 : null,
  };
}

function draw(state: RunState, size = { columns: 120, rows: 30 }): string {
  return drawPicture({
    header: {
      mode: 'replicate',
      pipeline: 'shop',
      source: 'postgres://h/shop',
      destination: 'duckdb:x',
    },
    state,
    elapsedMs: 4200,
    nowMs: START + 1000,
    size,
    style: makeStyle(false),
    footnote: null,
  }).join('\n');
}

test('the snapshot shows bar, rates and the time left', () => {
  const picture = draw(
    fold(
      [0, { event: 'phase', phase: 'snapshot', stream: null }],
      [500, progress('public.orders', 'snapshot', 250)],
    ),
  );
  expect(picture).toMatchInlineSnapshot(`
    "forebay replicate  postgres://h/shop → duckdb:x
    shop  ·  4.2 s

    stream         phase             snapshot  changes  rows/s   bytes/s
    public.orders  ███░░░░░░░░░ 25%       250        –     250  24.4 KiB  eta 3.0 s

    250 rows  ·  250 rows/s  ·  24.4 KiB/s  ·  eta 3.0 s"
  `);
});

test('changes show the lag, and what the snapshot brought stays', () => {
  const state = fold(
    [0, progress('public.orders', 'snapshot', 1000)],
    [10, { event: 'phase', phase: 'changes', stream: null }],
    [500, progress('public.orders', 'changes', 100)],
    [1000, progress('public.orders', 'changes', 300)],
  );
  expect(draw(state)).toMatchInlineSnapshot(`
    "forebay replicate  postgres://h/shop → duckdb:x
    shop  ·  4.2 s

    stream         phase             snapshot  changes  rows/s   bytes/s
    public.orders  following            1,000      300     250  24.4 KiB  lag 45 ms

    300 changes  ·  250 rows/s  ·  24.4 KiB/s  ·  lag 45 ms, 2.0 KiB"
  `);
});

test('a stream that is paused says why, one that waits shows no rate', () => {
  const state = fold(
    [-5000, progress('public.a', 'changes', 100)],
    [
      0,
      {
        event: 'stream-paused',
        stream: 'public.b',
        code: 'no_key',
        reason: 'no key',
        fix: 'add one',
      },
    ],
  );
  expect(draw(state)).toContain('paused no_key');
  expect(draw(state)).toMatch(/public\.a +plan|public\.a +following .* – +–/);
});

test('a lost connection is told until something moves', () => {
  const error = {
    code: 'connection_lost',
    class: 'transient',
    message: 'm',
    fix: 'f',
    stream: null,
  } as const;
  const lost = fold([0, { event: 'retry', stream: null, error, attempt: 3, delayMs: 100 }]);
  expect(draw(lost)).toContain('connection lost (connection_lost), trying again, attempt 3');
  const back = applyEvent(lost, {
    at: new Date(START).toISOString(),
    pipeline: 'shop',
    stream: null,
    event: 'checkpoint',
    position: '0/1',
  });
  expect(draw(back)).not.toContain('connection lost');
});

test('never more lines or columns than the terminal has', () => {
  const many = Array.from({ length: 500 }, (_, index): [number, Body] => [
    0,
    progress(`public.table_with_a_long_name_${index}`, 'snapshot', 1),
  ]);
  const lines = draw(fold(...many), { columns: 60, rows: 20 }).split('\n');
  expect(lines.length).toBeLessThan(20);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(60);
  expect(lines.join('\n')).toContain('… 489 more');
});

test('clip counts no escape sequences', () => {
  const painted = makeStyle(true).red('abcdef');
  expect(clip(painted, 6)).toBe(painted);
  expect(clip(painted, 4)).toBe('\u001B[31mabc…\u001B[39m');
});

test('drawBar goes by eighths', () => {
  expect([0, 0.5, 0.53, 1, 2].map((fraction) => drawBar(fraction, 4))).toEqual([
    '░░░░',
    '██░░',
    '██▏░',
    '████',
    '████',
  ]);
});

describe('plainLine', () => {
  test('says something before anything has happened', () => {
    expect(plainLine(INITIAL_STATE, START)).toBe('plan      waiting for the two systems');
  });

  test('tells rows, rate and lag', () => {
    const state = fold(
      [0, { event: 'phase', phase: 'changes', stream: null }],
      [900, progress('public.a', 'changes', 100)],
    );
    expect(plainLine(state, START + 1000)).toBe(
      'changes   1 stream, 100 changes, 100 rows/s, 9.8 KiB/s, lag 45 ms, 2.0 KiB',
    );
  });
});

test('an event as JSON has its documented keys first', () => {
  const at = '2026-01-01T00:00:00.000Z';
  const line = printEvent({
    phase: 'snapshot',
    stream: null,
    pipeline: 'shop',
    at,
    event: 'phase',
  });
  expect(line).toBe(
    `{"v":1,"event":"phase","at":"${at}","pipeline":"shop","stream":null,"phase":"snapshot"}`,
  );
});
