import { describe, expect, test } from 'vitest';

import { ForebayError } from '../core/errors.ts';
import { listShape, outputFormat, parseOptions, pipelineShape, readOptions } from './options.ts';

function messages(options: Record<string, unknown>): string[] {
  return parseOptions(pipelineShape, options).errors.map(({ message }) => message);
}

describe('pipeline options', () => {
  test('have their defaults', () => {
    expect(readOptions(pipelineShape, {})).toEqual({
      load: 'upsert',
      deletes: 'hard',
      schemaChanges: 'evolve',
      batchRows: 20_000,
      batchMs: 200,
      memoryMib: 256,
      errorBudget: 1000,
      set: {},
    });
  });

  test('are read with their units', () => {
    const read = readOptions(pipelineShape, {
      streams: ['public.*, !public.audit_*', 'sales.orders'],
      retryFor: '1h30m',
      batchRows: '500',
      parallel: '4',
      errorBudget: '0',
      set: ['duckdb.threads=2', 'duckdb.note=a=b'],
    });
    expect(read).toMatchObject({
      streams: ['public.*', '!public.audit_*', 'sales.orders'],
      retryFor: 5_400_000,
      batchRows: 500,
      parallel: 4,
      errorBudget: 0,
      set: { 'duckdb.threads': '2', 'duckdb.note': 'a=b' },
    });
  });

  test('name every mistake at once', () => {
    expect(
      messages({ batchRows: '0', batchMs: 'soon', retryFor: '5', deletes: 'sof', name: 'Not OK' }),
    ).toEqual([
      expect.stringContaining('--name must be 1 to 40'),
      '--deletes must be one of hard, soft, ignore; did you mean soft?',
      expect.stringContaining('--batch-rows must be a whole number of rows'),
      expect.stringContaining('--batch-ms must be a whole number of milliseconds'),
      '--retry-for must be a duration such as 90s, 5m or 1h30m',
    ]);
  });

  test('refuse history, which is not there yet', () => {
    expect(messages({ load: 'history' })).toEqual([
      '--load history is not there yet: use upsert, append or replace',
    ]);
  });

  test.each([[['']], [['a,,b']], [['!']], [['!!a.b']]])('refuse the globs %j', (streams) => {
    expect(messages({ streams })).toHaveLength(1);
  });

  test('refuse a setting without a value', () => {
    expect(messages({ set: ['threads'] })).toEqual([
      '--set must be key=value, e.g. duckdb.memory-mib=512',
    ]);
  });
});

test('readOptions throws a coded error', () => {
  expect(() => readOptions(listShape, { output: 'xml' })).toThrow(ForebayError);
});

test('--json is -o json', () => {
  expect(outputFormat(readOptions(listShape, { json: true }))).toBe('json');
  expect(outputFormat(readOptions(listShape, { output: 'yaml' }))).toBe('yaml');
  expect(outputFormat(readOptions(listShape, {}))).toBe('table');
});
