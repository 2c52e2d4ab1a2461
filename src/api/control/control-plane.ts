/** The parts of a server, in the order in which they need each other. */
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ForebayError } from '../../core/errors.ts';
import type { Secret } from '../../core/secret.ts';
import { readModels } from '../../layers/model-file.ts';
import { planModels } from '../../layers/model-graph.ts';
import { type MetadataDb, type MetadataPlace, openMetadata } from '../../metadata/database.ts';
import { checkDataKeys, rewrap } from '../../metadata/secrets.ts';
import { acquireServerLock } from '../../metadata/server-lock.ts';
import { createSetupToken } from '../../metadata/setup-tokens.ts';
import { loadWrappingKeys, type WrappingKeys } from '../../metadata/wrapping-keys.ts';
import type { ActivityDeps } from '../../orchestration/activities/deps.ts';
import { Turns } from '../../orchestration/activities/turns.ts';
import { Dispatcher } from '../../orchestration/dispatcher.ts';
import { fireSchedule, tellSkips } from '../../orchestration/schedule-execution.ts';
import { startScheduler } from '../../orchestration/schedules/scheduler.ts';
import { startPublishers } from '../../service/events/publishers.ts';
import type { Log } from '../../service/log.ts';
import { guardSystem, type Reach } from '../../service/reach.ts';
import { type ServerConfig, temporalOf, type TemporalPlace } from '../../service/server-config.ts';
import { startGrpc } from '../grpc/server.ts';
import type { ApiOptions } from '../running.ts';
import { startApi } from '../server.ts';
import type { ModelDescription } from '../services.ts';
import { startHousekeeping } from './housekeeping.ts';
import { cursorKey, openOrchestrator, startWorker } from './engine.ts';
import { createServices } from './services.ts';

export interface ServerSettings {
  readonly dataDir: string;
  readonly host: string;
  readonly port: number;
  readonly grpcPort: number;
  /** PostgreSQL for the metadata; null: a file in the data folder. */
  readonly databaseUrl: Secret | null;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly config: ServerConfig;
  readonly log: Log;
}

export interface ControlPlane extends AsyncDisposable {
  readonly url: string;
  /** Where gRPC answers: `host:port`. */
  readonly grpcAddress: string;
  /** For the first admin; null where there is one, or where not only this machine may connect. */
  readonly setupToken: string | null;
}

const LOOPBACK = /^(?:localhost|127(?:\.\d+){3}|::1)$/;
const FILE = 'forebay.db';

/** `isLocal`: only this machine has a say in what is connected to. Makes the folder that it names of its own. */
function reachOf(
  { config, dataDir }: Pick<ServerSettings, 'config' | 'dataDir'>,
  isLocal: boolean,
): Reach {
  const egress = config.egress ?? (isLocal ? 'open' : 'private');
  if (config.fileRoots !== null || isLocal) return { egress, fileRoots: config.fileRoots };
  const files = resolve(dataDir, 'files');
  mkdirSync(files, { recursive: true, mode: 0o700 });
  return { egress, fileRoots: [files] };
}

/** Of a cluster's address, `host:port`. */
const hostOf = (address: string): string =>
  address.slice(0, address.lastIndexOf(':')).replace(/^\[(.*)\]$/, '$1');

export function metadataPlace({
  dataDir,
  databaseUrl,
}: Pick<ServerSettings, 'dataDir' | 'databaseUrl'>): MetadataPlace {
  return databaseUrl === null
    ? { kind: 'sqlite', path: join(dataDir, FILE) }
    : { kind: 'postgres', url: databaseUrl };
}

async function describeModels(folder: string): Promise<readonly ModelDescription[]> {
  const models = await readModels(folder);
  const order = planModels(models, new Set());
  return order.map(({ model, dependsOn }) => ({
    name: model.name,
    materialization: model.materialization,
    description: model.description === '' ? null : model.description,
    dependsOn,
    file: model.file,
  }));
}

/** Everything that was begun ends, the last first, whatever fails. */
class Parts implements AsyncDisposable {
  readonly #stack = new AsyncDisposableStack();

  use<T extends AsyncDisposable | Disposable>(part: T): T {
    return this.#stack.use(part);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}

function faultLog(log: Log): (error: unknown) => void {
  return (error) => {
    const message = error instanceof Error ? error.message : String(error);
    const code = error instanceof ForebayError ? error.code : 'internal';
    log.at('error', 'control_plane_fault', { code, message });
  };
}

/** gRPC asks the API, and ends before it. */
async function openPorts(
  parts: Parts,
  options: ApiOptions,
  { host, port, grpcPort }: Pick<ServerSettings, 'host' | 'port' | 'grpcPort'>,
): Promise<Pick<ControlPlane, 'url' | 'grpcAddress'>> {
  const api = parts.use(await startApi(options, { host, port }));
  const { app } = api;
  const grpc = parts.use(await startGrpc({ app, log: options.log }, { host, port: grpcPort }));
  return { url: api.url, grpcAddress: grpc.address };
}

/** Not of workers: a change of the key is over when every server has started with it. */
async function openKeys(db: MetadataDb, settings: ServerSettings): Promise<WrappingKeys> {
  const { environment, dataDir, log } = settings;
  const isOwn = metadataPlace(settings).kind === 'sqlite';
  const keys = await loadWrappingKeys({ environment, dataDir: isOwn ? dataDir : null });
  await checkDataKeys(db, keys);
  const { rewrapped } = await rewrap(db, keys);
  if (rewrapped > 0) log.at('info', 'secrets_rewrapped', { key: keys.current.id, rewrapped });
  return keys;
}

export async function startControlPlane(settings: ServerSettings): Promise<ControlPlane> {
  const { dataDir, host, config, log } = settings;
  const parts = new Parts();
  try {
    const place = metadataPlace(settings);
    if (place.kind === 'sqlite') parts.use(acquireServerLock(dataDir));
    const metadata = parts.use(await openMetadata(place));
    const keys = await openKeys(metadata.db, settings);
    const reach = reachOf(settings, LOOPBACK.test(host));
    // They end last: what executions tell until then goes out, too.
    parts.use(await startPublishers({ db: metadata.db, config, policy: reach.egress, log }));
    const onFault = faultLog(log);
    const deps: ActivityDeps = {
      metadata,
      keys,
      guard: (system) => guardSystem(system, reach),
      turns: new Turns(),
      modelsFolder: join(dataDir, 'models'),
      retryFallback: config.retry,
    };
    const work = { ...config.workers, onFault };
    const temporal = temporalOf(config);
    const orchestrator = parts.use(await openOrchestrator(metadata, deps, { temporal, work }));
    const dispatcher = parts.use(new Dispatcher({ db: metadata.db, orchestrator, onFault }));
    const scheduler = parts.use(
      startScheduler({
        db: metadata.db,
        fire: fireSchedule,
        skipped: tellSkips,
        fired: () => dispatcher.hint(),
        onFault,
      }),
    );
    const services = createServices({
      deps,
      orchestrator,
      dispatcher,
      scheduleChanged: () => void scheduler.look().catch(onFault),
      onFault,
      models: () => describeModels(deps.modelsFolder),
    });
    const { db } = metadata;
    const signingKey = cursorKey(keys);
    parts.use(startHousekeeping(db, onFault));
    const places = await openPorts(parts, { db, services, keys, signingKey, log }, settings);
    const setupToken = LOOPBACK.test(host) ? await createSetupToken(db) : null;
    return {
      ...places,
      setupToken,
      [Symbol.asyncDispose]: () => parts[Symbol.asyncDispose](),
    };
  } catch (error) {
    await parts[Symbol.asyncDispose]();
    throw error;
  }
}

export type WorkerSettings = Omit<ServerSettings, 'host' | 'port' | 'grpcPort'> & {
  readonly temporal: TemporalPlace;
};

/** A worker of a Temporal cluster: shares the metadata with the servers, and does what they schedule. */
export async function startControlWorker(settings: WorkerSettings): Promise<AsyncDisposable> {
  const { dataDir, environment, log, temporal, config } = settings;
  const parts = new Parts();
  try {
    const place = metadataPlace(settings);
    if (place.kind === 'sqlite') {
      throw new ForebayError('usage', {
        message: 'workers share their metadata with the servers, and need PostgreSQL for it',
        fix: 'Set FOREBAY_DATABASE_URL.',
      });
    }
    const metadata = parts.use(await openMetadata(place));
    const keys = await loadWrappingKeys({ environment, dataDir: null });
    await checkDataKeys(metadata.db, keys);
    const onFault = faultLog(log);
    const reach = reachOf(settings, LOOPBACK.test(hostOf(temporal.address)));
    const deps: ActivityDeps = {
      metadata,
      keys,
      guard: (system) => guardSystem(system, reach),
      turns: new Turns(),
      modelsFolder: join(dataDir, 'models'),
      retryFallback: config.retry,
    };
    parts.use(await startWorker(deps, temporal, { ...config.workers, onFault }));
    return parts;
  } catch (error) {
    await parts[Symbol.asyncDispose]();
    throw error;
  }
}
