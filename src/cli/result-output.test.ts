import { describe, expect, test } from 'vitest';

import { ForebayError } from '../core/errors.ts';
import type { RunResult, StreamResult } from '../engine/pipeline.ts';
import { failedResult, resultDocument, resultExitCode } from './result-output.ts';

const stream: StreamResult = {
  paused: null,
  pausedEarlier: false,
  bytes: 70,
  deadLettered: 0,
  filtered: 1,
  folded: 2,
  applied: 7,
  read: 10,
  phase: 'changes',
  stream: 'public.orders',
};

function result(change: Partial<RunResult> = {}): RunResult {
  return {
    begun: true,
    pipeline: 'shop',
    status: 'completed',
    durationMs: 12.4,
    streams: [stream],
    position: { from: '0/1', to: '0/2' },
    lagMs: 3,
    error: null,
    repaired: null,
    ...change,
  };
}

test('the document has the keys of the documentation, in its order', () => {
  expect(JSON.stringify(resultDocument(result()))).toBe(
    '{"v":1,"pipeline":"shop","status":"completed","durationMs":12,' +
      '"streams":[{"stream":"public.orders","phase":"changes","read":10,"applied":7,"folded":2,' +
      '"filtered":1,"deadLettered":0,"bytes":70,"paused":null}],' +
      '"position":{"from":"0/1","to":"0/2"},"lagMs":3,"error":null}',
  );
});

test('an error in the document has its five keys and no password', () => {
  const error = new ForebayError('unreachable', {
    message: 'cannot reach postgres://ada:hunter2@host/db',
    why: 'refused',
  });
  const document = resultDocument(failedResult('shop', error, 5));
  expect(document).toMatchObject({ status: 'failed', streams: [], lagMs: null });
  expect(document['error']).toEqual({
    code: 'unreachable',
    class: 'transient',
    message: 'cannot reach postgres://ada:[secret]@host/db: refused',
    fix: error.fix,
    stream: null,
  });
});

describe('the exit code', () => {
  const paused = { code: 'no_key', reason: 'no key', fix: 'add one' };
  const cases: readonly [string, Partial<RunResult>, number][] = [
    ['done', {}, 0],
    ['stopped in order', { status: 'stopped' }, 0],
    ['stopped before it began', { status: 'stopped', begun: false }, 130],
    ['a stream paused', { streams: [{ ...stream, paused }] }, 5],
    ['rows dead-lettered', { streams: [{ ...stream, deadLettered: 1 }] }, 5],
  ];
  test.each(cases)('%s', (_what, change, code) => {
    expect(resultExitCode(result(change))).toBe(code);
  });

  test.each([
    ['unreachable', 3],
    ['authentication_failed', 4],
    ['position_lost', 7],
    ['connection_lost', 75],
    ['fenced', 1],
    ['unknown_scheme', 2],
  ] as const)('of %s is that of the table', (code, exit) => {
    const error = new ForebayError(code, { message: 'x' });
    expect(resultExitCode(failedResult('shop', error, 0))).toBe(exit);
  });
});
