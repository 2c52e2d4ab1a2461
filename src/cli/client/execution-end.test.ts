import { describe, expect, test } from 'vitest';

import { exitOf, failureOf, progressLines, summaryOf } from './execution-end.ts';
import type { ExecutionDetail } from './find.ts';

const report = (code: string) => ({ code, class: 'x', message: 'it failed', fix: 'mend it' });

describe('how it ended', () => {
  test.each([
    ['completed', null, 0],
    ['cancelled', null, 130],
    ['failed', report('quality_failed'), 5],
    ['failed', report('unreachable'), 3],
    ['failed', report('authentication_failed'), 4],
    ['failed', report('connection_lost'), 75],
    ['failed', report('of_a_later_release'), 1],
    ['failed', 'no report', 1],
    ['failed', null, 1],
  ] as const)('%s with %j is exit %i', (status, error, code) => {
    expect(exitOf({ status, error })).toBe(code);
  });

  test('a code of a later release is still told', () => {
    const failure = failureOf({ status: 'failed', error: report('of_a_later_release') });
    expect(failure?.message).toContain('of_a_later_release');
  });
});

const EXECUTION: ExecutionDetail = {
  id: '01980c8e-5f6a-7c1d-8a53-0d4f1c2b3a49',
  pipeline_id: '01980c8e-6b7c-7e2f-9b64-1e5a2d3c4b5a',
  pipeline_name: 'orders',
  status: 'running',
  trigger: 'manual',
  layers: {
    bronze: { status: 'completed', records: 1, size_mb: 0, duration_ms: 1 },
    silver: {
      status: 'running',
      records: null,
      records_filtered: null,
      records_deduplicated: null,
      duration_ms: null,
    },
    gold: { status: 'skipped', tables_updated: [], duration_ms: null },
  },
  total_duration_ms: null,
  records_processed: null,
  records_failed: null,
  size_bytes: null,
  error: null,
  scheduled_at: '2026-03-01T00:00:00.000Z',
  started_at: '2026-03-01T00:00:01.000Z',
  completed_at: null,
  workflow: 'ETLWorkflow',
  workflow_id: 'w',
  run_id: null,
  parameters: {},
  output: null,
  retry: null,
};

test('progress tells each layer, and nothing of one that is skipped', () => {
  expect(progressLines(EXECUTION)).toEqual([
    'started',
    'bronze running',
    'bronze completed: 1 record',
    'silver running',
  ]);
});

test('lines are only ever added: what was told is not told otherwise later', () => {
  const silver = {
    ...EXECUTION.layers.silver,
    status: 'completed' as const,
    records: 1200,
    records_filtered: 3,
  };
  const later = { ...EXECUTION, layers: { ...EXECUTION.layers, silver } };
  const before = progressLines(EXECUTION);
  expect(progressLines(later).slice(0, before.length)).toEqual(before);
  expect(progressLines(later).at(-1)).toBe('silver completed: 1,200 records, 3 filtered');
});

test('the summary leaves out what is not known', () => {
  expect(summaryOf(EXECUTION)).toBe('running');
  const done = {
    ...EXECUTION,
    status: 'completed' as const,
    records_processed: 90,
    size_bytes: 2048,
    total_duration_ms: 4200,
  };
  expect(summaryOf(done)).toBe('completed: 90 records, 2.0 KiB, 4.2 s');
});
