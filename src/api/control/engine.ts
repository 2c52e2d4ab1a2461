/** The engine that runs flows: in this process, or a Temporal cluster whose workers are elsewhere. */
import { hkdfSync } from 'node:crypto';
import { ForebayError } from '../../core/errors.ts';
import type { Metadata } from '../../metadata/database.ts';
import type { WrappingKey, WrappingKeys } from '../../metadata/wrapping-keys.ts';
import type { ActivityDeps } from '../../orchestration/activities/deps.ts';
import { createActivities } from '../../orchestration/activities/index.ts';
import { startEmbedded } from '../../orchestration/embedded/orchestrator.ts';
import { FLOWS } from '../../orchestration/flows/index.ts';
import type { Orchestrator } from '../../orchestration/orchestrator.ts';
import type { CodecKey } from '../../orchestration/temporal/codec.ts';
import type { TemporalSettings } from '../../orchestration/temporal/settings.ts';
import type { TemporalPlace } from '../../service/server-config.ts';

export interface WorkSettings {
  readonly maxActivities: number;
  readonly activityTimeoutMs: number;
  readonly onFault: (error: unknown) => void;
}

/** Steps that follow a source for as long as it is there hold places of their own, and so do those that move no data. */
const QUEUES = { replication: 1000, control: 50 };
const KEY_BYTES = 32;

/** Not the wrapping key itself: what goes to the cluster is sealed with one that opens nothing else. */
function codecKey({ id, key }: WrappingKey): CodecKey {
  const bytes = hkdfSync('sha256', key, '', `forebay temporal payloads ${id}`, KEY_BYTES);
  return { id, key: Buffer.from(bytes) };
}

/** The same on all servers of one metadata database. */
export function cursorKey({ current }: WrappingKeys): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', current.key, '', 'forebay cursors', KEY_BYTES));
}

export function temporalSettings(place: TemporalPlace, keys: WrappingKeys): TemporalSettings {
  const payloadKeys = [keys.current, ...keys.former].map(codecKey);
  return { ...place, payloadKeys };
}

async function loadTemporal<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    if (error instanceof ForebayError) throw error;
    throw new ForebayError('capability_missing', {
      message: 'the packages of Temporal are not installed',
      fix: 'npm install @temporalio/client @temporalio/worker @temporalio/workflow @temporalio/activity @temporalio/common protobufjs@8',
      cause: error,
    });
  }
}

export async function openOrchestrator(
  metadata: Metadata,
  deps: ActivityDeps,
  { temporal, work }: { readonly temporal: TemporalPlace | null; readonly work: WorkSettings },
): Promise<Orchestrator> {
  if (temporal !== null) {
    const { connectTemporal } = await loadTemporal(
      () => import('../../orchestration/temporal/orchestrator.ts'),
    );
    return connectTemporal(temporalSettings(temporal, deps.keys));
  }
  return startEmbedded({
    metadata,
    flows: FLOWS,
    activities: createActivities(deps),
    queues: QUEUES,
    ...work,
  });
}

/** Does the work of a cluster until it is disposed of. */
export async function startWorker(
  deps: ActivityDeps,
  temporal: TemporalPlace,
  work: WorkSettings,
): Promise<AsyncDisposable> {
  const { startTemporalWorker } = await loadTemporal(
    () => import('../../orchestration/temporal/worker.ts'),
  );
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return startTemporalWorker({
    settings: temporalSettings(temporal, deps.keys),
    flowsModule: new URL(`../../orchestration/flows/index.${extension}`, import.meta.url),
    activities: createActivities(deps),
    queues: QUEUES,
    ...work,
  });
}
