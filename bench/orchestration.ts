/** Steps of flows a second: the embedded engine against 2,000, and against Temporal's own server on the same flow. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openMetadata } from '../src/metadata/database.ts';
import { startEmbedded } from '../src/orchestration/embedded/orchestrator.ts';
import type { Orchestrator } from '../src/orchestration/orchestrator.ts';
import { FLOWS } from '../test/support/orchestration-flows.ts';
import { startTemporal } from '../test/support/temporal-server.ts';
import type { Measured } from './measure.ts';
import type { Outcome } from './report.ts';

const FLOW = 'steps';
const WORKFLOWS = 100;
const STEPS = 200;
/** The peer is slower by far: fewer steps give its figure as well. */
const PEER_WORKFLOWS = 20;
const PEER_STEPS = 10;
const WANTED = 2000;

const activities = { echo: async (input: unknown) => Promise.resolve(input) };
const onFault = (fault: unknown): void => {
  throw fault;
};

interface Load {
  readonly workflows: number;
  readonly steps: number;
}

/** Seconds until all have ended. */
async function time(orchestrator: Orchestrator, { workflows, steps }: Load): Promise<Measured> {
  const cpu = process.cpuUsage();
  const startedAt = performance.now();
  const ids = Array.from({ length: workflows }, (_, index) => `bench-${startedAt}-${index}`);
  for (const workflowId of ids) await orchestrator.start(FLOW, { workflowId, input: { steps } });
  for (const workflowId of ids) {
    const { status } = await orchestrator.result(workflowId);
    if (status !== 'completed') throw new Error(`${workflowId} ended as ${status}`);
  }
  const { user, system } = process.cpuUsage(cpu);
  const seconds = (performance.now() - startedAt) / 1000;
  return {
    seconds,
    cpuSeconds: (user + system) / 1e6,
    rssMiB: process.memoryUsage.rss() / 2 ** 20,
  };
}

const perSecond = ({ workflows, steps }: Load, { seconds }: Measured): number =>
  (workflows * steps) / seconds;

async function embedded(load: Load): Promise<Measured> {
  const folder = mkdtempSync(join(tmpdir(), 'forebay-bench-'));
  try {
    const path = join(folder, 'forebay.db');
    await using metadata = await openMetadata({ kind: 'sqlite', path });
    await using engine = await startEmbedded({ metadata, flows: FLOWS, activities, onFault });
    return await time(engine, load);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function temporal(load: Load): Promise<Measured | null> {
  await using server = await startTemporal();
  if (server === null) return null;
  const settings = {
    address: server.address,
    namespace: 'default',
    taskQueue: 'bench',
    tls: null,
    apiKey: null,
    payloadKeys: [],
  };
  const { connectTemporal } = await import('../src/orchestration/temporal/orchestrator.ts');
  const { startTemporalWorker } = await import('../src/orchestration/temporal/worker.ts');
  const flowsModule = new URL('../test/support/orchestration-flows.ts', import.meta.url);
  await using _worker = await startTemporalWorker({ settings, flowsModule, activities, onFault });
  await using orchestrator = await connectTemporal(settings);
  return await time(orchestrator, load);
}

export async function flowSteps(): Promise<Outcome[]> {
  const load = { workflows: WORKFLOWS, steps: STEPS };
  const ours = await embedded(load);
  const rate = perSecond(load, ours);
  const peerLoad = { workflows: PEER_WORKFLOWS, steps: PEER_STEPS };
  const theirs = await temporal(peerLoad);
  const told = [`${rate.toFixed(0)} steps/s`];
  const goal: Outcome = {
    name: 'steps of flows, embedded engine on SQLite',
    peer: `${WANTED} a second`,
    ratio: rate / WANTED,
    atLeast: 1,
    ours: [ours],
    theirs: [],
    notes: told,
  };
  if (theirs === null) return [goal];
  const peerRate = perSecond(peerLoad, theirs);
  const beside: Outcome = {
    name: 'steps of flows, embedded engine on SQLite',
    peer: "Temporal's development server, the same flow",
    ratio: rate / peerRate,
    atLeast: 1,
    ours: [ours],
    theirs: [theirs],
    notes: [...told, `theirs ${peerRate.toFixed(0)} steps/s, over fewer of them`],
  };
  return [goal, beside];
}
