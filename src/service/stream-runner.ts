/** Runs one stream of the file, again after what time may mend, until it has ended or is told to stop. */
import { asForebayError } from '../core/errors.ts';
import { pause } from '../core/pause.ts';
import { decideRetry, type RetryPolicy } from '../core/retry.ts';
import { failedRun } from '../engine/failed-run.ts';
import type { CommittedBatch, RunEvent, RunResult } from '../engine/pipeline.ts';
import { runPipeline } from '../engine/run.ts';
import type { EventMeter } from './event-counts.ts';
import type { StreamPlan } from './stream-plan.ts';
import { afterEvent, afterResult, NEW_STREAM, type StreamFacts } from './stream-state.ts';

export interface RunnerOptions {
  readonly id: string;
  /** Follows references anew at each start. */
  readonly plan: (meter: EventMeter) => Promise<StreamPlan>;
  readonly retry: RetryPolicy;
  /** Resolves when the stream may begin; null: it was told to stop before. */
  readonly admit: (signal: AbortSignal) => Promise<Disposable | null>;
  readonly observe: (event: RunEvent) => void;
  readonly committed: (batch: CommittedBatch) => void;
  /** Goes on from where the stream's last runner left it. */
  readonly meter: EventMeter;
}

/** Held by somebody else for now: another process that ends, or a server that has not noticed that ours did. */
const HELD = new Set(['pipeline_in_use', 'slot_in_use', 'file_locked']);

export class StreamRunner {
  readonly id: string;
  readonly meter: EventMeter;
  readonly #options: RunnerOptions;
  readonly #drain = new AbortController();
  readonly #ended: Promise<RunResult | null>;
  #facts: StreamFacts = NEW_STREAM;
  #hasEnded = false;

  constructor(options: RunnerOptions) {
    this.id = options.id;
    this.meter = options.meter;
    this.#options = options;
    this.#ended = this.#run().finally(() => {
      this.#hasEnded = true;
    });
  }

  get facts(): StreamFacts {
    return this.#facts;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** The last run's result; null if none began. Never rejects. */
  get ended(): Promise<RunResult | null> {
    return this.#ended;
  }

  /** What is in hand is committed or given up. */
  async stop(): Promise<void> {
    this.#drain.abort();
    await this.#ended;
  }

  async #run(): Promise<RunResult | null> {
    const { signal } = this.#drain;
    using place = await this.#options.admit(signal);
    if (place === null) {
      this.#facts = { ...this.#facts, condition: 'stopped' };
      return null;
    }
    let failures = 0;
    for (;;) {
      const startedAt = performance.now();
      const result = await this.#once();
      if (result.begun) failures = 0;
      failures += 1;
      const delayMs = this.#delayAfter(result, failures, startedAt);
      if (delayMs === null || signal.aborted) return this.#end(result);
      this.#tellRetry(result, failures, delayMs);
      await pause(delayMs, signal);
      if (signal.aborted) return this.#end({ ...result, status: 'stopped', error: null });
    }
  }

  #end(result: RunResult): RunResult {
    this.meter.ended();
    this.#facts = afterResult(this.#facts, result, new Date().toISOString());
    return result;
  }

  async #once(): Promise<RunResult> {
    const startedAt = performance.now();
    try {
      const plan = await this.#options.plan(this.meter);
      return await runPipeline(plan.mode, plan.spec, plan.systems, {
        drain: this.#drain.signal,
        observe: (event) => this.#observe(event),
        meter: {
          moved: this.meter.moved,
          counted: this.meter.counted,
          gaveUp: this.meter.brokeOff,
          batch: this.#options.committed,
        },
      });
    } catch (error) {
      const durationMs = Math.round(performance.now() - startedAt);
      return failedRun(this.id, asForebayError(error), durationMs);
    }
  }

  #observe(event: RunEvent): void {
    this.meter.observe(event);
    this.#facts = afterEvent(this.#facts, event);
    this.#options.observe(event);
  }

  #delayAfter(result: RunResult, attempt: number, startedAt: number): number | null {
    if (result.error === null || !HELD.has(result.error.code)) return null;
    const decision = decideRetry(this.#options.retry, {
      class: 'transient',
      systemCode: null,
      attempt,
      elapsedMs: performance.now() - startedAt,
      random: Math.random(),
    });
    return decision.kind === 'retry' ? decision.delayMs : null;
  }

  #tellRetry(result: RunResult, attempt: number, delayMs: number): void {
    if (result.error === null) return;
    const at = new Date().toISOString();
    const { pipeline, error } = result;
    this.#observe({ event: 'retry', at, pipeline, stream: null, error, attempt, delayMs });
  }
}
