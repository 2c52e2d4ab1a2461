/** A process that does flows and activities for a Temporal cluster. Load it only where one is configured. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Context } from '@temporalio/activity';
import {
  bundleWorkflowCode,
  DefaultLogger,
  NativeConnection,
  Runtime,
  Worker,
  type WorkerOptions,
  type WorkflowBundleWithSourceMap,
} from '@temporalio/worker';
import { ForebayError } from '../../core/errors.ts';
import { type AttemptEnd, runAttempt } from '../attempt.ts';
import { cancelled, toFailure } from '../failure.ts';
import type { Activity, ActivityMap, Json } from '../flow.ts';
import { fromPayload, toPayload } from '../payload.ts';
import { createCodec } from './codec.ts';
import { type ActivityEnvelope, type ActivityReply, queueName } from './envelope.ts';
import { type TemporalSettings, connectionOptions } from './settings.ts';

export interface TemporalWorkerOptions {
  readonly settings: TemporalSettings;
  /** The module whose export `FLOWS` has the flows; it and all that it imports must be free of input and output. */
  readonly flowsModule: URL;
  readonly activities: ActivityMap;
  readonly maxActivities?: number;
  readonly activityTimeoutMs?: number;
  /** Queues with workers of their own, and how many activities each does at a time. */
  readonly queues?: Readonly<Record<string, number>>;
  readonly graceMs?: number;
  /** How often the cluster hears of an activity at most; a cancellation comes back this way. */
  readonly heartbeatEveryMs?: number;
  readonly onFault: (error: unknown) => void;
}

const DEFAULT_ACTIVITIES = 10;
const DEFAULT_TIMEOUT_MS = 30 * 60_000;
const DEFAULT_GRACE_MS = 10_000;
const DEFAULT_HEARTBEAT_MS = 5000;

let installed = false;

/** Signals of the process are ours to handle; the SDK tells its own failures and no flow's. */
function installRuntime(): void {
  if (installed) return;
  installed = true;
  Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });
}

/** The code of the flows as the sandbox runs it. */
export async function bundleFlows(flowsModule: URL): Promise<WorkflowBundleWithSourceMap> {
  const folder = mkdtempSync(join(tmpdir(), 'forebay-flows-'));
  try {
    const entry = join(folder, 'entry.js');
    // From source and from the built package.
    const file = `./workflow${extname(import.meta.url)}`;
    const runner = fileURLToPath(new URL(file, import.meta.url));
    writeFileSync(
      entry,
      `import { runFlow } from ${JSON.stringify(runner)};
import { FLOWS } from ${JSON.stringify(fileURLToPath(flowsModule))};
export default (envelope) => runFlow(FLOWS, envelope);
`,
    );
    return await bundleWorkflowCode({
      workflowsPath: entry,
      logger: new DefaultLogger('WARN'),
      // The entry lies outside of the package, whose modules it needs all the same.
      webpackConfigHook: (config) => ({
        ...config,
        resolve: {
          ...config.resolve,
          modules: [...(config.resolve?.modules ?? []), modulesFolder()],
        },
      }),
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function modulesFolder(): string {
  const packageFile = createRequire(import.meta.url).resolve('@temporalio/workflow/package.json');
  return join(dirname(packageFile), '..', '..');
}

export async function startTemporalWorker(
  options: TemporalWorkerOptions,
): Promise<AsyncDisposable> {
  const { settings, graceMs = DEFAULT_GRACE_MS, queues = {} } = options;
  const limits: Limits = { graceMs, timeoutMs: options.activityTimeoutMs ?? DEFAULT_TIMEOUT_MS };
  const { address, namespace, taskQueue, payloadKeys } = settings;
  installRuntime();
  const connection = await connect(settings);
  const [key, ...others] = payloadKeys;
  const shared: Omit<WorkerOptions, 'taskQueue'> = {
    connection,
    namespace,
    activities: wrapAll(options.activities, limits),
    shutdownGraceTime: 0,
    shutdownForceTime: graceMs + 5000,
    maxHeartbeatThrottleInterval: options.heartbeatEveryMs ?? DEFAULT_HEARTBEAT_MS,
    defaultHeartbeatThrottleInterval: options.heartbeatEveryMs ?? DEFAULT_HEARTBEAT_MS,
    ...(key === undefined
      ? {}
      : { dataConverter: { payloadCodecs: [createCodec([key, ...others])] } }),
  };
  const workers = [
    await Worker.create({
      ...shared,
      taskQueue,
      workflowBundle: await bundleFlows(options.flowsModule),
      maxConcurrentActivityTaskExecutions: options.maxActivities ?? DEFAULT_ACTIVITIES,
    }),
  ];
  for (const [queue, limit] of Object.entries(queues))
    workers.push(
      await Worker.create({
        ...shared,
        taskQueue: queueName(taskQueue, queue),
        maxConcurrentActivityTaskExecutions: limit,
      }),
    );
  const running = Promise.all(workers.map((worker) => worker.run()));
  running.catch((error: unknown) => options.onFault(unreachable(address, error)));
  return {
    async [Symbol.asyncDispose]() {
      for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
      await running;
      await connection.close();
    },
  };
}

async function connect(settings: TemporalSettings): Promise<NativeConnection> {
  try {
    return await NativeConnection.connect(connectionOptions(settings));
  } catch (error) {
    throw unreachable(settings.address, error);
  }
}

function unreachable(address: string, error: unknown): ForebayError {
  return new ForebayError('orchestrator_unreachable', {
    message: `the Temporal cluster at ${address} cannot be used`,
    why: error instanceof Error ? error.message : String(error),
    cause: error,
  });
}

type Wrapped = (envelope: ActivityEnvelope) => Promise<ActivityReply>;

interface Limits {
  readonly graceMs: number;
  readonly timeoutMs: number;
}

function wrapAll(activities: ActivityMap, limits: Limits): Record<string, Wrapped> {
  return Object.fromEntries(
    Object.entries(activities).map(([name, activity]) => [name, wrap(name, activity, limits)]),
  );
}

/** The worker says that it is being stopped with this message; the SDK has no other sign. */
const SHUTDOWN = 'WORKER_SHUTDOWN';

function wrap(name: string, activity: Activity, limits: Limits): Wrapped {
  return async (envelope) => {
    const context = Context.current();
    const { info, cancellationSignal } = context;
    const controller = new AbortController();
    let told = envelope.lastHeartbeat;
    cancellationSignal.addEventListener('abort', () => {
      controller.abort(reasonOf(cancellationSignal.reason, info.workflowExecution?.workflowId));
    });
    // It lives as long as its process does, whatever it has to tell; the answer brings a cancellation.
    const pulse = setInterval(() => context.heartbeat(told), 1000);
    const { end } = runAttempt({
      name,
      activity,
      input: toPayload(envelope.input, `the input of ${name}`),
      options: {
        ...(envelope.timeoutMs === undefined ? {} : { timeoutMs: envelope.timeoutMs }),
        ...(envelope.heartbeatTimeoutMs === null
          ? {}
          : { heartbeatTimeoutMs: envelope.heartbeatTimeoutMs }),
      },
      defaultTimeoutMs: limits.timeoutMs,
      graceMs: limits.graceMs,
      attempt: envelope.attempt,
      // The server's clock, which grows with each attempt of each step.
      epoch: info.currentAttemptScheduledTimestampMs,
      stepKey: envelope.stepKey,
      lastHeartbeat: told === null ? null : JSON.stringify(told),
      controller,
      onHeartbeat: (details) => {
        told = fromPayload(details);
        context.heartbeat(told);
      },
    });
    const ended = await end;
    clearInterval(pulse);
    return replyOf(ended, told);
  };
}

function reasonOf(reason: unknown, workflowId = ''): ForebayError {
  const text = reason instanceof Error ? reason.message : String(reason);
  return text.includes(SHUTDOWN)
    ? new ForebayError('worker_stopping', { message: 'the worker is being stopped' })
    : cancelled(workflowId);
}

function replyOf(end: AttemptEnd, told: Json | null): ActivityReply {
  switch (end.kind) {
    case 'completed':
      return { kind: 'completed', result: fromPayload(end.result) };
    case 'failed':
      return { kind: 'failed', failure: toFailure(end.error, told) };
    case 'again':
      return { kind: 'again', cause: end.cause, lastHeartbeat: told };
  }
}
