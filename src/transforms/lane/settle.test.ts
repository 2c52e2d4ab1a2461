import { setTimeout as delay } from 'node:timers/promises';

import { describe, expect, test } from 'vitest';

import { SlabPool } from '../../core/slab.ts';
import type { Outcome } from '../document-transform.ts';
import { LoadGate } from './load-gate.ts';
import type { LaneErrors } from './options.ts';
import { isRejected, settle } from './settle.ts';

const failed: Outcome = { kind: 'failed', code: 'c', message: 'm' };

function optionsFor(
  outcomes: (documents: readonly string[], run: number) => readonly Outcome[],
  errors: Partial<LaneErrors> = {},
  signal: AbortSignal = new AbortController().signal,
) {
  const runs: (readonly string[])[] = [];
  const onError: LaneErrors = {
    lastResort: 'dead_letter',
    maxRetries: 0,
    retryDelayMs: 0,
    ...errors,
  };
  const runner = {
    run: (documents: readonly string[]) => {
      runs.push(documents);
      return Promise.resolve(outcomes(documents, runs.length));
    },
  };
  return {
    runs,
    options: { runner, onError, context: { slabs: new SlabPool(0), signal, notice: () => {} } },
  };
}

describe('documents that fail', () => {
  test('are tried again alone, and come back in their places', async () => {
    const { options, runs } = optionsFor(
      (documents, run) =>
        documents.map((json) =>
          json === 'b' || (json === 'd' && run < 3) ? failed : { kind: 'document', json },
        ),
      { maxRetries: 3 },
    );
    expect(await settle(options, ['a', 'b', 'c', 'd'])).toEqual([
      { kind: 'document', json: 'a', attempts: 1 },
      { ...failed, attempts: 4 },
      { kind: 'document', json: 'c', attempts: 1 },
      { kind: 'document', json: 'd', attempts: 3 },
    ]);
    expect(runs).toEqual([['a', 'b', 'c', 'd'], ['b', 'd'], ['b', 'd'], ['b']]);
  });

  test('are not waited for when the run ends', async () => {
    const over = new AbortController();
    const { options } = optionsFor(
      (documents) => {
        over.abort();
        return documents.map(() => failed);
      },
      { maxRetries: 1, retryDelayMs: 3_600_000 },
      over.signal,
    );
    await expect(settle(options, ['a'])).rejects.toMatchObject({ code: 'interrupted' });
  });

  test('are rejected, passed over, or stop the stream', () => {
    const failure = { code: 'c', message: 'm', attempts: 1 };
    const errors = (lastResort: LaneErrors['lastResort']): LaneErrors => ({
      lastResort,
      maxRetries: 0,
      retryDelayMs: 0,
    });
    expect(isRejected(errors('dead_letter'), failure, 's')).toBe(true);
    expect(isRejected(errors('skip'), failure, 's')).toBe(false);
    expect(() => isRejected(errors('fail_stream'), failure, 's')).toThrow(
      expect.objectContaining({
        code: 'transform_failed',
        class: 'data',
        why: 'c: m',
        stream: 's',
      }),
    );
  });
});

test('a runner that loses a document is not believed', async () => {
  const { options } = optionsFor(() => []);
  await expect(settle(options, ['a'])).rejects.toMatchObject({ code: 'internal' });
  expect(await settle(options, [])).toEqual([]);
});

test('what alters a table waits for its loads, and later loads for that', async () => {
  const gate = new LoadGate();
  const told: string[] = [];
  const loads = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const first = gate.load(async () => {
    await loads[0]?.promise;
    told.push('load 1');
  });
  const second = gate.load(async () => {
    await loads[1]?.promise;
    told.push('load 2');
  });
  await delay(0);
  const altered = [1, 2].map((n) =>
    gate.alone(() => Promise.resolve(void told.push(`alter ${n}`))),
  );
  const refused = gate.alone(() => Promise.reject(new Error('refused')));
  const third = gate.load(() => Promise.resolve(void told.push('load 3')));
  loads[1]?.resolve();
  await second;
  loads[0]?.resolve();
  await Promise.all([first, ...altered, third]);
  await expect(refused).rejects.toThrow('refused');
  expect(told).toEqual(['load 2', 'load 1', 'alter 1', 'alter 2', 'load 3']);
});
