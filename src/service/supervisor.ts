/** All streams of a configuration: started, stopped and replaced as the file says. */
import { pause } from '../core/pause.ts';
import type { CommittedBatch, RunEvent, RunResult } from '../engine/pipeline.ts';
import type { LoadedConfiguration } from './configuration/inspect.ts';
import { planReload, type ReloadPlan } from './configuration/reload.ts';
import type { StreamConfiguration } from './configuration/schema.ts';
import { type EventCounts, EventMeter, NO_COUNTS } from './event-counts.ts';
import { Places } from './places.ts';
import { planStream, retryOf } from './stream-plan.ts';
import { StreamRunner } from './stream-runner.ts';
import type { StreamFacts } from './stream-state.ts';

export interface SupervisorOptions {
  readonly untilCaughtUp: boolean;
  readonly observe: (stream: string, event: RunEvent) => void;
  readonly committed: (stream: string, batch: CommittedBatch) => void;
  readonly ended: (stream: string, result: RunResult) => void;
}

export interface Reloaded extends ReloadPlan {
  /** Streams that had not ended in time: what the edit makes of them is still to come. */
  readonly late: readonly string[];
}

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #places: Places;
  /** The last of each stream of the file that has been started, ended or not. */
  readonly #runners = new Map<string, StreamRunner>();
  /** Places of streams that are about to begin again: nobody who waits gets ahead of them. */
  readonly #kept = new Map<string, Disposable | null>();
  #loaded: LoadedConfiguration;
  /** Streams that an edit stops or starts, until that is done. */
  readonly #turns = new Map<string, Promise<void>>();
  #stopping = false;

  constructor(loaded: LoadedConfiguration, options: SupervisorOptions) {
    this.#loaded = loaded;
    this.#options = options;
    this.#places = new Places(loaded.configuration.service.max_concurrent_streams);
  }

  get loaded(): LoadedConfiguration {
    return this.#loaded;
  }

  /** Streams that wait because as many as may run do. */
  get waiting(): number {
    return this.#places.waiting;
  }

  runner(id: string): StreamRunner | null {
    return this.#runners.get(id) ?? null;
  }

  start(): void {
    for (const stream of this.#loaded.configuration.streams) {
      if (stream.enabled) this.#begin(stream);
    }
  }

  /** Null while the stream is disabled or waits to be started for the first time. */
  facts(id: string): StreamFacts | null {
    const runner = this.runner(id);
    if (runner === null || (runner.hasEnded && this.#configured(id)?.enabled === false))
      return null;
    return runner.facts;
  }

  /** Since the service started, also of a stream that is disabled by now. */
  counts(id: string): EventCounts {
    return this.runner(id)?.meter.counts() ?? NO_COUNTS;
  }

  /**
   * Applies the difference; resolves when streams that go have ended and those that come have begun. One that hangs
   * holds up nobody: after the time that the file gives for an end, the rest of its edit is done when it has ended.
   */
  async reload(next: LoadedConfiguration): Promise<Reloaded> {
    const plan = planReload(this.#loaded, next);
    const { max_concurrent_streams: limit, graceful_shutdown_timeout: patience } =
      next.configuration.service;
    this.#loaded = next;
    this.#places.setLimit(limit);
    for (const id of plan.changed) this.#kept.set(id, null);
    const ids = [...plan.stopped, ...plan.changed, ...plan.started];
    const late = new AbortController();
    const turns = Promise.all(ids.map((id) => this.#turn(id))).then(() => late.abort());
    await Promise.race([turns, pause(patience.ms, late.signal)]);
    return { ...plan, late: ids.filter((id) => this.#turns.has(id)) };
  }

  /** Resolves when every stream has ended by itself, also those that a reload brings. */
  async allEnded(): Promise<void> {
    for (;;) {
      const runners = [...this.#runners.values()];
      await Promise.all([...this.#turns.values(), ...runners.map((runner) => runner.ended)]);
      // Between the end of a stream that changes and its next begin there is none that runs.
      const now = [...this.#runners.values()];
      const isSame = now.length === runners.length && now.every((one) => runners.includes(one));
      if (isSame && this.#turns.size === 0) return;
    }
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all([...this.#runners.values()].map((runner) => runner.stop()));
  }

  /** One edit of a stream after the other. */
  async #turn(id: string): Promise<void> {
    const before = this.#turns.get(id);
    const turn = before === undefined ? this.#replace(id) : before.then(() => this.#replace(id));
    this.#turns.set(id, turn);
    await turn;
    if (this.#turns.get(id) === turn) this.#turns.delete(id);
  }

  /** Ends the stream, and begins it as the file has it by then. */
  async #replace(id: string): Promise<void> {
    await this.#runners.get(id)?.stop();
    const stream = this.#configured(id);
    if (stream === null) this.#runners.delete(id);
    if (stream?.enabled === true && !this.#stopping) this.#begin(stream);
    else this.#kept.get(id)?.[Symbol.dispose]();
    this.#kept.delete(id);
  }

  #configured(id: string): StreamConfiguration | null {
    return this.#loaded.configuration.streams.find((stream) => stream.id === id) ?? null;
  }

  #begin(stream: StreamConfiguration): void {
    const { id } = stream;
    const loaded = this.#loaded;
    const runner = new StreamRunner({
      id,
      plan: (meter) =>
        planStream(loaded, stream, {
          untilCaughtUp: this.#options.untilCaughtUp,
          moving: (change) => meter.transforming(change),
        }),
      retry: retryOf(stream),
      admit: (signal) => this.#admit(id, signal),
      observe: (event) => this.#options.observe(id, event),
      committed: (batch) => this.#options.committed(id, batch),
      meter: this.#runners.get(id)?.meter ?? new EventMeter(),
    });
    this.#runners.set(id, runner);
    void runner.ended.then((result) => {
      if (result !== null) this.#options.ended(id, result);
    });
  }

  async #admit(id: string, signal: AbortSignal): Promise<Disposable | null> {
    const place = this.#kept.get(id) ?? (await this.#places.take(signal));
    if (place === null) return null;
    const leave = (): void => {
      if (this.#kept.has(id)) this.#kept.set(id, place);
      else place[Symbol.dispose]();
    };
    return { [Symbol.dispose]: leave };
  }
}
