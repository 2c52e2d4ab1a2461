// What flows did in an earlier release they do still: executions that were under way outlive an upgrade.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { beforeAll, describe, expect, test } from 'vitest';

import { temporalSettings } from '../../src/api/control/engine.ts';
import type { JournalEntriesTable, JournalRunsTable } from '../../src/metadata/journal-tables.ts';
import { loadWrappingKeys } from '../../src/metadata/wrapping-keys.ts';
import { replay } from '../../src/orchestration/embedded/replay.ts';
import type { FlowMap } from '../../src/orchestration/flow.ts';
import { FLOWS } from '../../src/orchestration/flows/index.ts';
import { createCodec } from '../../src/orchestration/temporal/codec.ts';
import { historiesFolder, recordedHistories, recordedKey } from '../support/recorded-histories.ts';

const read = (name: string): unknown =>
  JSON.parse(readFileSync(join(historiesFolder, name), 'utf8'));

const flows: FlowMap = FLOWS;

interface RecordedRun {
  readonly run: JournalRunsTable;
  readonly entries: readonly JournalEntriesTable[];
}

describe('journals of the embedded engine', () => {
  test.each(recordedHistories('embedded'))('%s', async (name) => {
    for (const { run, entries } of read(name) as readonly RecordedRun[]) {
      const flow = flows[run.flow];
      if (flow === undefined) throw new Error(`there is no flow ${run.flow}`);
      const replayed = await replay(flow, run, entries);
      expect(replayed.divergence()).toBe(null);
      expect(replayed.machine.ending).toMatchObject({ kind: run.status });
      // Up to any step, as where a process ended; of what was open at the end the journal does not say when it was asked.
      if (entries.some(({ delivered }) => delivered === null)) continue;
      for (let left = 0; left < entries.length; left += 1) {
        const part = entries.filter(({ delivered }) => (delivered ?? 0) <= left);
        expect((await replay(flow, run, part)).divergence(), `${left} ends`).toBe(null);
      }
    }
  });
});

describe('histories of Temporal', () => {
  type Replayer = (history: unknown, name: string) => Promise<void>;
  let replayHistory: Replayer;
  beforeAll(async () => {
    const { DefaultLogger, Runtime, Worker } = await import('@temporalio/worker');
    Runtime.install({ logger: new DefaultLogger('WARN') });
    const { historyFromJSON } = await import('@temporalio/common/lib/proto-utils.js');
    const { bundleFlows } = await import('../../src/orchestration/temporal/worker.ts');
    const module = new URL('../../src/orchestration/flows/index.ts', import.meta.url);
    const workflowBundle = await bundleFlows(module);
    const environment = { FOREBAY_SECRET_KEY: recordedKey };
    const keys = await loadWrappingKeys({ environment, dataDir: null });
    const place = {
      address: '',
      namespace: 'platform-etl',
      taskQueue: 'etl-workers',
      tls: null,
      apiKey: null,
    };
    const [key] = temporalSettings(place, keys).payloadKeys;
    if (key === undefined) throw new Error('no key');
    const dataConverter = { payloadCodecs: [createCodec([key])] };
    replayHistory = async (history, name) => {
      await Worker.runReplayHistory(
        { workflowBundle, dataConverter },
        historyFromJSON(history),
        name,
      );
    };
  });
  test.each(recordedHistories('temporal'))('%s', async (name) => {
    await expect(replayHistory(read(name), name)).resolves.toBe(undefined);
  });
});
