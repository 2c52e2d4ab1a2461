/** All streams of a configuration: started, stopped and replaced as the file says. */
import type { CommittedBatch, RunEvent, RunResult } from '../engine/pipeline.ts';
import type { LoadedConfiguration } from './configuration/inspect.ts';
import { planReload, type ReloadPlan } from './configuration/reload.ts';
import type { StreamConfiguration } from './configuration/schema.ts';
import { Places } from './places.ts';
import { planStream, retryOf } from './stream-plan.ts';
import { StreamRunner } from './stream-runner.ts';

export interface SupervisorOptions {
  readonly untilCaughtUp: boolean;
  readonly observe: (stream: string, event: RunEvent) => void;
  readonly committed: (stream: string, batch: CommittedBatch) => void;
  readonly ended: (stream: string, result: RunResult) => void;
}

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #places: Places;
  readonly #runners = new Map<string, StreamRunner>();
  /** Of streams that were replaced or removed, until they have ended. */
  readonly #leaving = new Set<Promise<unknown>>();
  /** Places of streams that are about to begin again: nobody who waits gets ahead of them. */
  readonly #kept = new Map<string, Disposable | null>();
  #loaded: LoadedConfiguration;
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

  /** Applies the difference; resolves when streams that go have ended and those that come have begun. */
  async reload(next: LoadedConfiguration): Promise<ReloadPlan> {
    const plan = planReload(this.#loaded, next);
    this.#loaded = next;
    this.#places.setLimit(next.configuration.service.max_concurrent_streams);
    for (const id of plan.changed) this.#kept.set(id, null);
    const leaving = [...plan.stopped, ...plan.changed].map((id) => this.#end(id));
    await Promise.all(leaving);
    for (const id of [...plan.started, ...plan.changed]) {
      const stream = this.#configured(id);
      if (stream !== null && !this.#stopping) this.#begin(stream);
      this.#kept.delete(id);
    }
    return plan;
  }

  /** Resolves when every stream has ended by itself, also those that a reload brings. */
  async allEnded(): Promise<void> {
    for (;;) {
      const runners = [...this.#runners.values()];
      await Promise.all([...runners.map((runner) => runner.ended), ...this.#leaving]);
      const now = [...this.#runners.values()];
      if (now.length === runners.length && now.every((runner) => runners.includes(runner))) return;
    }
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all([
      ...this.#leaving,
      ...[...this.#runners.values()].map((runner) => runner.stop()),
    ]);
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

  async #end(id: string): Promise<void> {
    const runner = this.#runners.get(id);
    if (runner === undefined) return;
    this.#runners.delete(id);
    const ending = runner.stop();
    this.#leaving.add(ending);
    await ending;
    this.#leaving.delete(ending);
  }
}
