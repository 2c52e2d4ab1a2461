import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { stringify } from 'yaml';

import type { RunEvent, RunResult } from '../engine/pipeline.ts';
import type { LoadedConfiguration } from './configuration/inspect.ts';
import { loadConfiguration } from './configuration/load.ts';
import { Supervisor } from './supervisor.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fb-supervisor-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface Entry {
  readonly id: string;
  readonly enabled?: boolean;
  readonly batch_size?: number;
  /** Tries once more after this long, or fails at once. */
  readonly waits?: string;
}

/** Streams of servers that are not there: each fails, and waits until it tries again where it is told to. */
function load(...entries: readonly Entry[]): LoadedConfiguration {
  const file = join(folder, 'forebay.yaml');
  const system = { type: 'postgres', connection_string: 'postgres://u@127.0.0.1:1' };
  const streams = entries.map(({ waits, ...entry }) => ({
    ...entry,
    source: { ...system, database: 'a' },
    destination: { ...system, database: 'b' },
    retry_policy:
      waits === undefined
        ? { max_attempts: 1 }
        : { max_attempts: 2, initial_delay: waits, max_delay: waits },
  }));
  writeFileSync(file, stringify({ version: '1', streams }));
  const result = loadConfiguration(file);
  if (result.kind === 'refused') throw new Error(JSON.stringify(result.problems));
  return result.loaded;
}

interface Watched {
  readonly supervisor: Supervisor;
  readonly ended: (readonly [string, RunResult['status']])[];
  /** Resolves when the stream waits for its next try. */
  readonly retrying: (id: string) => Promise<void>;
}

function supervise(loaded: LoadedConfiguration): Watched {
  const ended: (readonly [string, RunResult['status']])[] = [];
  const waits = new Map<string, PromiseWithResolvers<void>>();
  const of = (id: string): PromiseWithResolvers<void> => {
    const known = waits.get(id) ?? Promise.withResolvers<void>();
    waits.set(id, known);
    return known;
  };
  const supervisor = new Supervisor(loaded, {
    untilCaughtUp: true,
    observe: (id: string, { event }: RunEvent) => {
      if (event === 'retry') of(id).resolve();
    },
    committed: () => {},
    ended: (id, { status }) => ended.push([id, status]),
  });
  return { supervisor, ended, retrying: async (id) => await of(id).promise };
}

test('a stream that is changed while it waits is run to its end before all have ended', async () => {
  const { supervisor, ended, retrying } = supervise(load({ id: 'a', waits: '1h' }));
  supervisor.start();
  const all = supervisor.allEnded();
  await retrying('a');
  const edited = supervisor.reload(load({ id: 'a' }));
  await all;
  expect(ended).toEqual([
    ['a', 'stopped'],
    ['a', 'failed'],
  ]);
  await edited;
});

test('a stream that a reload brings is waited for as well', async () => {
  const { supervisor, ended, retrying } = supervise(load({ id: 'a', waits: '1h' }));
  supervisor.start();
  const all = supervisor.allEnded();
  await retrying('a');
  await supervisor.reload(load({ id: 'b' }));
  await all;
  expect(ended).toEqual([
    ['a', 'stopped'],
    ['b', 'failed'],
  ]);
});

test('no stream begins once the service is told to stop', async () => {
  const { supervisor, ended, retrying } = supervise(load({ id: 'a', waits: '1h' }));
  supervisor.start();
  await retrying('a');
  const edited = supervisor.reload(load({ id: 'a', batch_size: 5, waits: '1h' }, { id: 'b' }));
  await Promise.all([supervisor.stop(), edited]);
  expect(ended).toEqual([['a', 'stopped']]);
  expect(supervisor.facts('b')).toBeNull();
});

test('a stream keeps its counts when it is changed, disabled and enabled again', async () => {
  const { supervisor, retrying } = supervise(load({ id: 'a', waits: '1h' }));
  supervisor.start();
  await retrying('a');
  supervisor.runner('a')?.meter.counted('public.t', {
    read: 3,
    applied: 3,
    folded: 0,
    filtered: 0,
    deadLettered: 0,
    bytes: 9,
  });
  const counts = { completed: 3, received: 3, retries: 1 };
  await supervisor.reload(load({ id: 'a', batch_size: 5, waits: '2h' }));
  expect(supervisor.counts('a')).toMatchObject(counts);
  await supervisor.reload(load({ id: 'a', enabled: false }));
  expect(supervisor.counts('a')).toMatchObject({ completed: 3, received: 3 });
  expect(supervisor.facts('a')).toBeNull();
  await supervisor.reload(load({ id: 'a' }));
  expect(supervisor.counts('a')).toMatchObject({ completed: 3, received: 3 });
  await supervisor.reload(load({ id: 'b' }));
  await supervisor.reload(load({ id: 'a' }));
  expect(supervisor.counts('a')).toMatchObject({ completed: 0, received: 0 });
  await supervisor.stop();
});

test('a stream shows how it is until it has ended', async () => {
  const { supervisor, retrying } = supervise(load({ id: 'a', waits: '1h' }));
  supervisor.start();
  await retrying('a');
  const edited = supervisor.reload(load({ id: 'a', enabled: false }));
  expect(supervisor.facts('a')?.condition).toBe('retrying');
  await edited;
  expect(supervisor.facts('a')).toBeNull();
});
