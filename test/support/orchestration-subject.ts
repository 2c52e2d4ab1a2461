// The engines that the conformance suite runs over.
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Secret } from '../../src/core/secret.ts';
import { type Metadata, type MetadataPlace, openMetadata } from '../../src/metadata/database.ts';
import type { EngineOptions } from '../../src/orchestration/embedded/engine.ts';
import {
  type EmbeddedOrchestrator,
  startEmbedded,
} from '../../src/orchestration/embedded/orchestrator.ts';
import type { ActivityMap, FlowMap } from '../../src/orchestration/flow.ts';
import { FLOWS as PRODUCT_FLOWS } from '../../src/orchestration/flows/index.ts';
import type { Orchestrator } from '../../src/orchestration/orchestrator.ts';
import type { TemporalSettings } from '../../src/orchestration/temporal/settings.ts';
import { Recorder, testActivities } from './orchestration-activities.ts';
import { FLOWS } from './orchestration-flows.ts';
import { sharedServer } from './shared-servers.ts';
import { startTemporal } from './temporal-server.ts';

/** A database on which engines can be started one after the other, or several at once. */
export interface JournalPlace extends AsyncDisposable {
  readonly place: MetadataPlace;
  start(options?: Partial<EngineOptions>): Promise<StartedEngine>;
}

export interface StartedEngine extends AsyncDisposable {
  readonly orchestrator: EmbeddedOrchestrator;
  readonly metadata: Metadata;
  readonly recorder: Recorder;
  readonly faults: unknown[];
}

async function startOn(
  place: MetadataPlace,
  options: Partial<EngineOptions> = {},
): Promise<StartedEngine> {
  const metadata = options.metadata ?? (await openMetadata(place));
  const recorder = new Recorder();
  const faults: unknown[] = [];
  const orchestrator = await startEmbedded({
    flows: FLOWS,
    activities: testActivities(recorder),
    pollMs: 50,
    graceMs: 2000,
    onFault: (fault) => void faults.push(fault),
    ...options,
    metadata,
  });
  return {
    orchestrator,
    metadata,
    recorder,
    faults,
    [Symbol.asyncDispose]: async () => {
      await orchestrator[Symbol.asyncDispose]();
      await metadata[Symbol.asyncDispose]();
    },
  };
}

export function sqlitePlace(): JournalPlace {
  const folder = mkdtempSync(join(tmpdir(), 'fb-journal-'));
  const place: MetadataPlace = { kind: 'sqlite', path: join(folder, 'forebay.db') };
  return {
    place,
    start: (options) => startOn(place, options),
    [Symbol.asyncDispose]: async () => rmSync(folder, { recursive: true }),
  };
}

/** Null where there is no such server here. */
export async function postgresPlace(): Promise<JournalPlace | null> {
  const server = sharedServer(17);
  if (server === null) return null;
  const database = await server.createDatabase();
  const place: MetadataPlace = { kind: 'postgres', url: new Secret(server.url(database)) };
  return {
    place,
    start: (options) => startOn(place, options),
    [Symbol.asyncDispose]: async () => {},
  };
}

/** What the suite asks of an engine. */
export interface Subject extends AsyncDisposable {
  readonly orchestrator: Orchestrator;
  readonly recorder: Recorder;
  /** The worker ends in good order, and another one goes on. */
  restart(): Promise<void>;
}

export interface SubjectKind {
  readonly name: string;
  /** Null where it cannot be tried here. */
  open(options?: { readonly maxActivities?: number }): Promise<Subject | null>;
}

export const workflowId = (): string => `test-${randomUUID()}`;

async function embedded(
  place: JournalPlace | null,
  options: {
    readonly maxActivities?: number;
    readonly flows?: FlowMap;
    readonly activities?: ActivityMap;
  },
): Promise<Subject | null> {
  if (place === null) return null;
  let engine = await place.start(options);
  const { recorder } = engine;
  return {
    get orchestrator() {
      return engine.orchestrator;
    },
    recorder,
    async restart() {
      await engine[Symbol.asyncDispose]();
      engine = await place.start({ activities: testActivities(recorder), ...options });
    },
    async [Symbol.asyncDispose]() {
      await engine[Symbol.asyncDispose]();
      await place[Symbol.asyncDispose]();
    },
  };
}

export interface TemporalSubject extends Subject {
  readonly settings: TemporalSettings;
}

export const flowsModule = new URL('./orchestration-flows.ts', import.meta.url);

/** Null where no server is installed. */
export async function temporal(
  given: { readonly flowsModule?: URL; readonly activities?: ActivityMap } = {},
): Promise<TemporalSubject | null> {
  const server = await startTemporal();
  if (server === null) return null;
  const settings: TemporalSettings = {
    address: server.address,
    namespace: 'default',
    taskQueue: `test-${randomUUID()}`,
    tls: null,
    apiKey: null,
    payloadKeys: [{ id: 'one', key: Buffer.alloc(32, 7) }],
  };
  const { connectTemporal } = await import('../../src/orchestration/temporal/orchestrator.ts');
  const { startTemporalWorker } = await import('../../src/orchestration/temporal/worker.ts');
  const recorder = new Recorder();
  const begin = (): Promise<AsyncDisposable> =>
    startTemporalWorker({
      settings,
      flowsModule: given.flowsModule ?? flowsModule,
      activities: given.activities ?? testActivities(recorder),
      queues: { replication: 4, control: 4 },
      graceMs: 2000,
      heartbeatEveryMs: 200,
      onFault: (fault) => {
        throw fault;
      },
    });
  let worker = await begin();
  const orchestrator = await connectTemporal(settings);
  return {
    settings,
    orchestrator,
    recorder,
    async restart() {
      await worker[Symbol.asyncDispose]();
      worker = await begin();
    },
    async [Symbol.asyncDispose]() {
      await worker[Symbol.asyncDispose]();
      await orchestrator[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** The product's own flows, over the activities of a test. */
export const productSubjects: readonly {
  readonly name: string;
  open(activities: ActivityMap): Promise<Subject | null>;
}[] = [
  {
    name: 'embedded on SQLite',
    open: async (activities) => embedded(sqlitePlace(), { flows: PRODUCT_FLOWS, activities }),
  },
  {
    name: 'Temporal',
    open: async (activities) =>
      temporal({
        flowsModule: new URL('../../src/orchestration/flows/index.ts', import.meta.url),
        activities,
      }),
  },
];

export const subjects: readonly SubjectKind[] = [
  {
    name: 'embedded on SQLite',
    open: async (options = {}) => embedded(sqlitePlace(), options),
  },
  {
    name: 'embedded on PostgreSQL',
    open: async (options = {}) => embedded(await postgresPlace(), options),
  },
  { name: 'Temporal', open: async () => temporal() },
];
