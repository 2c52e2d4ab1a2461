import { describe, expect, test } from 'vitest';

import { inspect } from '../../../test/support/configuration.ts';
import type { LoadedConfiguration } from './inspect.ts';
import { planReload } from './reload.ts';

interface File {
  version: string;
  service: Record<string, unknown>;
  streams: Record<string, unknown>[];
  authentication: { id: string; type: string; config: Record<string, unknown> }[];
  transformations: Record<string, unknown>[];
}

function file(count: number): File {
  const streams = Array.from({ length: count }, (_, index) => ({
    id: `s${index}`,
    source: {
      type: 'postgres',
      connection_string: `postgres://h/db${index}`,
      database: `db${index}`,
      auth_id: `login${index % 2}`,
    },
    destination: {
      type: 'postgres',
      connection_string: '${env:WAREHOUSE}',
      database: 'dw',
    },
    ...(index % 3 === 0 ? { transformation_id: 't' } : {}),
  }));
  const login = (id: string, config: Record<string, unknown>) => ({ id, config });
  return {
    version: '1',
    service: {},
    streams,
    authentication: [
      {
        type: 'username_password',
        ...login('login0', { username: 'a', password: '${file:word}' }),
      },
      { type: 'certificate', ...login('login1', { cert_file: 'a.crt', key_file: 'a.key' }) },
    ],
    transformations: [{ id: 't', type: 'custom', specification: { module: 'm.ts' } }],
  };
}

const FILES = { word: 'hunter2', 'a.crt': 'one', 'a.key': 'two', 'm.ts': 'export default 1' };
const VARIABLES = { WAREHOUSE: 'postgres://w/dw' };

function load(value: File, files = FILES, variables = VARIABLES): LoadedConfiguration {
  const { loaded, problems } = inspect(JSON.stringify(value), { files, variables });
  if (loaded === null) throw new Error(JSON.stringify(problems));
  return loaded;
}

function edited(count: number, change: (value: File) => void) {
  const value = file(count);
  change(value);
  return planReload(load(file(count)), load(value));
}

const NOTHING = { started: [], stopped: [], changed: [], untouched: [], service: [] };

test('the same file changes nothing', () => {
  expect(edited(3, () => {})).toEqual({ ...NOTHING, untouched: ['s0', 's1', 's2'] });
});

describe('an edit', () => {
  const stream = (value: File, index: number) => value.streams[index] ?? {};

  test.each<[string, (value: File) => void, Partial<typeof NOTHING> | Record<string, string[]>]>([
    [
      'of one field',
      (value) => (stream(value, 1)['batch_size'] = 5),
      { changed: ['s1'], untouched: ['s0', 's2'] },
    ],
    [
      'that says the default',
      (value) => (stream(value, 1)['batch_size'] = 10_000),
      { untouched: ['s0', 's1', 's2'] },
    ],
    [
      'that says the same in another unit',
      (value) => (stream(value, 1)['retry_policy'] = { max_delay: '60s' }),
      { untouched: ['s0', 's1', 's2'] },
    ],
    [
      'of a name',
      (value) => (stream(value, 1)['name'] = 'other'),
      { untouched: ['s0', 's1', 's2'] },
    ],
    [
      'of a key of the user',
      (value) => (stream(value, 1)['x-a'] = 1),
      { untouched: ['s0', 's1', 's2'] },
    ],
    [
      'that removes one',
      (value) => value.streams.splice(1, 1),
      { stopped: ['s1'], untouched: ['s0', 's2'] },
    ],
    [
      'that disables one',
      (value) => (stream(value, 1)['enabled'] = false),
      { stopped: ['s1'], untouched: ['s0', 's2'] },
    ],
    ['that moves one', (value) => value.streams.reverse(), { untouched: ['s2', 's1', 's0'] }],
    [
      'that renames an id',
      (value) => (stream(value, 1)['id'] = 'new'),
      { started: ['new'], stopped: ['s1'], untouched: ['s0', 's2'] },
    ],
    [
      'of an authentication',
      (value) =>
        value.authentication.splice(0, 1, {
          id: 'login0',
          type: 'username_password',
          config: { username: 'b', password: 'c' },
        }),
      { changed: ['s0', 's2'], untouched: ['s1'] },
    ],
    [
      'of a transformation',
      (value) =>
        value.transformations.splice(0, 1, {
          id: 't',
          type: 'custom',
          specification: { filter: 'true' },
        }),
      { changed: ['s0'], untouched: ['s1', 's2'] },
    ],
    [
      'of the service',
      (value) => (value.service = { log_level: 'debug', health_port: 8081 }),
      { untouched: ['s0', 's1', 's2'], service: ['log_level', 'health_port'] },
    ],
  ])('%s', (_, change, expected) => {
    expect(edited(3, change)).toEqual({ ...NOTHING, ...expected });
  });
});

describe('what the file refers to', () => {
  test.each([
    ['a secret in a file', { ...FILES, word: 'hunter3' }, VARIABLES, ['s0', 's2']],
    ['a certificate', { ...FILES, 'a.crt': 'new' }, VARIABLES, ['s1']],
    ['a module', { ...FILES, 'm.ts': 'export default 2' }, VARIABLES, ['s0']],
    ['a variable', FILES, { WAREHOUSE: 'postgres://v/dw' }, ['s0', 's1', 's2']],
  ])('%s', (_, files, variables, changed) => {
    const plan = planReload(load(file(3)), load(file(3), files, variables));
    expect(plan.changed).toEqual(changed);
    expect([...plan.changed, ...plan.untouched].toSorted()).toEqual(['s0', 's1', 's2']);
  });
});

test('one of 200 streams', () => {
  const plan = edited(200, (value) => {
    Object.assign(value.streams[120] ?? {}, { batch_size: 5 });
  });
  expect({ ...plan, untouched: plan.untouched.length }).toEqual({
    ...NOTHING,
    changed: ['s120'],
    untouched: 199,
  });
});
