/** All streams of a configuration: started, stopped and replaced as the file says. */
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

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #places: Places;
  /** The last of each stream of the file that has been started, ended or not. */
  readonly #runners = new Map<string, StreamRunner>();
  /** Places of streams that are about to begin again: nobody who waits gets ahead of them. */
  readonly #kept = new Map<string, Disposable | null>();
  #loaded: LoadedConfiguration;
  /** The edit that is being applied. */
  #applying: Promise<void> | null = null;
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

  /** Applies the difference; resolves when streams that go have ended and those that come have begun. */
  async reload(next: LoadedConfiguration): Promise<ReloadPlan> {
    const plan = planReload(this.#loaded, next);
    this.#loaded = next;
    this.#places.setLimit(next.configuration.service.max_concurrent_streams);
    this.#applying = this.#apply(plan);
    try {
      await this.#applying;
    } finally {
      this.#applying = null;
    }
    return plan;
  }

  /** Resolves when every stream has ended by itself, also those that a reload brings. */
  async allEnded(): Promise<void> {
    for (;;) {
      const runners = [...this.#runners.values()];
      await Promise.all([this.#applying, ...runners.map((runner) => runner.ended)]);
      // Between the end of a stream that changes and its next begin there is none that runs.
      const now = [...this.#runners.values()];
      const isSame = now.length === runners.length && now.every((one) => runners.includes(one));
      if (isSame && this.#applying === null) return;
    }
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all([...this.#runners.values()].map((runner) => runner.stop()));
  }

  async #apply(plan: ReloadPlan): Promise<void> {
    for (const id of plan.changed) this.#kept.set(id, null);
    const leaving = [...plan.stopped, ...plan.changed].map(async (id) =>
      this.#runners.get(id)?.stop(),
    );
    await Promise.all(leaving);
    for (const id of plan.stopped) if (this.#configured(id) === null) this.#runners.delete(id);
    for (const id of [...plan.started, ...plan.changed]) {
      const stream = this.#configured(id);
      if (stream !== null && !this.#stopping) this.#begin(stream);
      this.#kept.delete(id);
    }
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
