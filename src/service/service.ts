/** The service of one configuration file: its streams, its edits, its ports and its log. */
import { asForebayError, ForebayError } from '../core/errors.ts';
import { pause } from '../core/pause.ts';
import type { RunEvent, RunResult } from '../engine/pipeline.ts';
import type { LoadedConfiguration } from './configuration/inspect.ts';
import { loadConfiguration } from './configuration/load.ts';
import { printProblem } from './configuration/problem.ts';
import { specificationProblems } from '../transforms/check-specification.ts';
import { type FileLock, lockFile } from './file-lock.ts';
import { FileWatch } from './file-watch.ts';
import { healthDocument, type HealthDocument, type StreamHealth } from './health.ts';
import { jsonAnswer, openPort, textAnswer } from './http-port.ts';
import { type Log, type LogSettings, ServiceLog } from './log.ts';
import { Metrics } from './metrics.ts';
import { logEvent } from './run-log.ts';
import { lagMsAt } from './stream-state.ts';
import { openTraces, type Traces } from './traces.ts';
import { Supervisor } from './supervisor.ts';

/** How long the collector may take with what is left to send at the end. */
const TELEMETRY_MS = 2000;

type Purpose = 'health' | 'metrics';

export interface ServiceOptions {
  readonly file: string;
  readonly loaded: LoadedConfiguration;
  readonly untilCaughtUp: boolean;
  readonly write: (line: string) => void;
  /** Takes what the streams tell, in place of the log, which is then JSON. */
  readonly tell?: (event: RunEvent) => void;
}

export class Service implements AsyncDisposable {
  readonly #options: ServiceOptions;
  readonly #logs: ServiceLog;
  readonly #log: Log;
  readonly #supervisor: Supervisor;
  readonly #results = new Map<string, RunResult>();
  readonly #reloads = { applied: 0, rejected: 0 };
  readonly #ports = new Map<Purpose, { readonly port: number; readonly opened: AsyncDisposable }>();
  #metrics: Metrics | null = null;
  #traces: Traces | null = null;
  #watch: FileWatch | null = null;
  #loadedAt = new Date().toISOString();
  #refusal: string | null = null;
  #lock: FileLock | null = null;
  #stage: 'starting' | 'running' | 'ending' | 'cut-off' = 'starting';
  /** Asked for while the service started. */
  #reloadWanted = false;
  /** Edits are taken one after the other. */
  #reloading: Promise<void> = Promise.resolve();

  constructor(options: ServiceOptions) {
    this.#options = options;
    this.#logs = new ServiceLog(this.#logSettings(options.loaded), options.write);
    this.#log = this.#logs.root;
    this.#supervisor = new Supervisor(options.loaded, {
      untilCaughtUp: options.untilCaughtUp,
      observe: (stream, event) => this.#observe(stream, event),
      committed: (stream, batch) => this.#traces?.batch(stream, batch),
      ended: (stream, result) => this.#streamEnded(stream, result),
    });
  }

  /**
   * Opens the ports, then starts the streams. Fails with `service_running` or `port_in_use` before anything runs.
   */
  async start(): Promise<void> {
    const { file, loaded } = this.#options;
    this.#lock = lockFile(file);
    if (this.#lock.missing !== null) {
      this.#log.at('warn', 'service_not_locked', { message: this.#lock.missing });
    }
    const { service, streams } = loaded.configuration;
    this.#traces = await openTraces();
    this.#metrics = await Metrics.open({
      streams: () => this.#streams(),
      reloads: () => this.#reloads,
      loadedAt: () => this.#loadedAt,
    });
    await this.#openPort('health', service.health_port);
    await this.#openPort('metrics', service.metrics_port);
    this.#log.at('info', 'service_started', {
      file,
      hash: loaded.hash,
      streams: streams.filter(({ enabled }) => enabled).length,
      healthPort: service.health_port,
      metricsPort: service.metrics_port,
    });
    this.#supervisor.start();
    if (this.#supervisor.waiting > 0) this.#tellWaiting();
    this.#watch = new FileWatch(file, loaded.hash, () => this.reload('file'));
    this.#stage = 'running';
    if (this.#reloadWanted) this.reload('signal');
  }

  /** Reads the file again, as after an edit. */
  reload(cause: 'file' | 'signal'): void {
    if (this.#stage === 'starting') this.#reloadWanted = true;
    if (this.#stage !== 'running') return;
    this.#reloading = this.#reloading
      .then(() => this.#reload(cause))
      .catch((error: unknown) => {
        this.#log.at('error', 'configuration_reload_failed', {
          message: error instanceof Error ? error.message : String(error),
        });
      });
  }

  /** Resolves when every stream has come to an end of its own. */
  allEnded(): Promise<void> {
    return this.#supervisor.allEnded();
  }

  /** What is in hand is committed or given up; false if that took longer than the file allows. */
  async stop(): Promise<boolean> {
    const { graceful_shutdown_timeout: timeout } = this.#supervisor.loaded.configuration.service;
    this.#endEdits();
    this.#log.at('info', 'service_stopping', { withinMs: timeout.ms });
    const stopped = this.#supervisor.stop().then(() => true);
    const late = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => late.resolve(false), timeout.ms);
    const inTime = await Promise.race([stopped, late.promise]);
    clearTimeout(timer);
    if (!inTime) {
      this.#stage = 'cut-off';
      this.#log.at('error', 'service_stop_timeout', { withinMs: timeout.ms });
    }
    return inTime;
  }

  /** The last result of each stream that has ended, in the order of the file. */
  get results(): ReadonlyMap<string, RunResult> {
    const { streams } = this.#supervisor.loaded.configuration;
    return new Map(
      streams.flatMap(({ id, enabled }) => {
        const result = enabled ? this.#results.get(id) : undefined;
        return result === undefined ? [] : [[id, result] as const];
      }),
    );
  }

  get health(): HealthDocument {
    const { hash } = this.#supervisor.loaded;
    return healthDocument(
      { loadedAt: this.#loadedAt, hash, error: this.#refusal },
      this.#streams(),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#endEdits();
    // An edit waits for the streams that it ends; where they were cut off, nobody waits for them any more.
    if (this.#stage !== 'cut-off') await this.#reloading;
    for (const { opened } of this.#ports.values()) await opened[Symbol.asyncDispose]();
    await Promise.all([this.#metrics, this.#traces].map((part) => this.#endTelemetry(part)));
    this.#lock?.[Symbol.dispose]();
    this.#log.at('info', 'service_stopped');
  }

  /** A collector that is gone is no failure of the service, and no reason to wait. */
  async #endTelemetry(part: AsyncDisposable | null): Promise<void> {
    const over = new AbortController();
    const late = pause(TELEMETRY_MS, over.signal).then(() => {
      if (over.signal.aborted) return;
      throw new ForebayError('timeout', { message: `no answer within ${TELEMETRY_MS} ms` });
    });
    try {
      await Promise.race([part?.[Symbol.asyncDispose](), late]);
    } catch (error) {
      this.#log.at('warn', 'telemetry_not_sent', { message: asForebayError(error).message });
    } finally {
      over.abort();
    }
  }

  #endEdits(): void {
    this.#watch?.[Symbol.dispose]();
    if (this.#stage !== 'cut-off') this.#stage = 'ending';
  }

  #streams(): readonly StreamHealth[] {
    return this.#supervisor.loaded.configuration.streams.map(({ id, name }) => {
      const known = this.#supervisor.facts(id);
      const facts = known && { ...known, lagMs: lagMsAt(known, Date.now()) };
      return { id, name: name ?? id, facts, counts: this.#supervisor.counts(id) };
    });
  }

  #logSettings({ configuration }: LoadedConfiguration): LogSettings {
    const { log_level: level, log_format: format } = configuration.service;
    return { level, format: this.#options.tell === undefined ? format : 'json' };
  }

  #observe(stream: string, event: RunEvent): void {
    const { tell } = this.#options;
    if (tell === undefined) logEvent(this.#log.child({ stream }), event);
    else tell({ ...event, pipeline: stream });
  }

  #streamEnded(stream: string, result: RunResult): void {
    this.#results.set(stream, result);
    const { status, error, durationMs } = result;
    const log = this.#log.child({ stream });
    if (error === null) log.at('info', 'stream_ended', { status, durationMs });
    else {
      const { code, message, fix } = error;
      log.at('error', 'stream_failed', { code, message, fix });
    }
  }

  async #openPort(purpose: Purpose, port: number): Promise<void> {
    const opened = await openPort(purpose, port, this.#routes(purpose));
    await this.#ports.get(purpose)?.opened[Symbol.asyncDispose]();
    this.#ports.set(purpose, { port, opened });
  }

  #routes(purpose: Purpose): Parameters<typeof openPort>[2] {
    if (purpose === 'metrics') {
      const type = 'text/plain; version=0.0.4; charset=utf-8';
      return {
        '/metrics': async () => ({
          status: 200,
          type,
          body: (await this.#metrics?.text()) ?? '',
        }),
      };
    }
    return {
      '/health': () => {
        const { health } = this;
        return jsonAnswer(health.status === 'failed' ? 503 : 200, health);
      },
      '/livez': () => textAnswer(200, 'ok'),
      '/readyz': () =>
        this.health.status === 'failed' ? textAnswer(503, 'no stream runs') : textAnswer(200, 'ok'),
    };
  }

  async #reload(cause: 'file' | 'signal'): Promise<void> {
    const { file } = this.#options;
    const result = loadConfiguration(file, { checkSpecification: specificationProblems });
    if (result.kind === 'refused') {
      this.#refusal = result.problems.map(printProblem).join('\n');
      this.#reloads.rejected += 1;
      const problems = result.problems.map(printProblem);
      this.#log.at('error', 'configuration_rejected', { cause, problems });
      return;
    }
    const { loaded } = result;
    const startedAt = performance.now();
    await this.#openChangedPorts(loaded);
    const plan = await this.#supervisor.reload(loaded);
    this.#logs.set(this.#logSettings(loaded));
    this.#refusal = null;
    this.#loadedAt = new Date().toISOString();
    this.#reloads.applied += 1;
    for (const id of plan.stopped) this.#results.delete(id);
    this.#log.at('info', 'configuration_applied', {
      cause,
      hash: loaded.hash,
      started: plan.started,
      stopped: plan.stopped,
      changed: plan.changed,
      untouched: plan.untouched.length,
      service: plan.service,
      durationMs: Math.round(performance.now() - startedAt),
    });
    if (plan.late.length > 0) this.#log.at('warn', 'streams_still_ending', { streams: plan.late });
    if (this.#supervisor.waiting > 0) this.#tellWaiting();
  }

  /** A port that cannot be had leaves the old one open, and the rest of the edit is taken; the next edit tries again. */
  async #openChangedPorts({ configuration }: LoadedConfiguration): Promise<void> {
    for (const purpose of ['health', 'metrics'] as const) {
      const port = configuration.service[`${purpose}_port`];
      if (port === this.#ports.get(purpose)?.port) continue;
      try {
        await this.#openPort(purpose, port);
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        this.#log.at('error', 'port_unavailable', { purpose, port, message });
      }
    }
  }

  #tellWaiting(): void {
    this.#log.at('warn', 'streams_waiting', {
      waiting: this.#supervisor.waiting,
      fix: 'Raise max_concurrent_streams: each that follows changes keeps its place.',
    });
  }
}
