/** A run of a pipeline: tries, waits and tries again until it has ended, was told to stop, or cannot go on. */
import { randomUUID } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { accountBalances, type PipelineState } from '../core/checkpoint.ts';
import type { DestinationSession } from '../core/connector.ts';
import { asForebayError, ForebayError, reportError } from '../core/errors.ts';
import { failpoint, failpointsArmed } from '../core/failpoint.ts';
import { pause } from '../core/pause.ts';
import { decideRetry } from '../core/retry.ts';
import { SlabPool } from '../core/slab.ts';
import type { Attempt, AttemptEnd, AttemptNotes } from './attempt.ts';
import type {
  PipelineSpec,
  PipelineSystems,
  RepairedStream,
  RunControl,
  RunMode,
  RunResult,
  RunStatus,
  StreamResult,
} from './pipeline.ts';
import { runCopy, runReplicate } from './modes.ts';
import { RunProgress } from './progress.ts';
import { type Rehearsal, rehearse } from './rehearse.ts';
import { runRecover } from './recover.ts';
import type { RunningStream } from './stream-state.ts';
import { contextFor, openSystems } from './systems.ts';
import { firstError } from './targets.ts';

class Run {
  readonly #mode: RunMode;
  readonly #spec: PipelineSpec;
  readonly #systems: PipelineSystems;
  readonly #control: RunControl;
  readonly #progress: RunProgress;
  readonly #notes: AttemptNotes = {
    positionFrom: null,
    positionTo: null,
    advanced: false,
    until: null,
    paused: new Set(),
  };
  readonly #id = randomUUID();
  readonly #startedAt = performance.now();
  #streams = new Map<string, RunningStream>();
  /** Epoch that this run has taken; null before the first session. */
  #epoch: number | null = null;
  #connectedOnce = false;
  #textOnly = false;

  constructor(parts: {
    mode: RunMode;
    spec: PipelineSpec;
    systems: PipelineSystems;
    control: RunControl;
  }) {
    this.#mode = parts.mode;
    this.#spec = parts.spec;
    this.#systems = parts.systems;
    this.#control = parts.control;
    this.#progress = new RunProgress(parts.spec.name, parts.control);
  }

  async execute(): Promise<RunResult> {
    this.#progress.emit({ event: 'started', mode: this.#mode.kind });
    let attempt = 0;
    let failingSince: number | null = null;
    for (;;) {
      this.#notes.advanced = false;
      try {
        const end = await this.#attempt();
        if (end.kind === 'again') {
          this.#textOnly = end.textOnly;
          this.#progress.gaveUp();
          continue;
        }
        return this.#result(
          end.kind,
          null,
          end.kind === 'completed' ? (end.repaired ?? null) : null,
        );
      } catch (error) {
        const failure = asForebayError(error);
        this.#progress.gaveUp();
        if (this.#control.drain.aborted && failure.class === 'transient')
          return this.#result('stopped', null, null);
        if (this.#notes.advanced) {
          attempt = 0;
          failingSince = null;
        }
        attempt += 1;
        failingSince ??= performance.now();
        const delayMs = this.#retryDelay(failure, attempt, performance.now() - failingSince);
        if (delayMs === null) return this.#result('failed', this.#outlasted(failure), null);
        this.#progress.retry(failure, attempt, delayMs);
        await pause(delayMs, this.#control.drain);
        if (this.#control.drain.aborted) return this.#result('stopped', null, null);
      }
    }
  }

  /** Null: give up. Until both systems were there once, a system that cannot be reached is a mistake to tell. */
  #retryDelay(failure: ForebayError, attempt: number, elapsedMs: number): number | null {
    const mayWait = this.#connectedOnce || this.#spec.awaitSystems;
    if (!mayWait || (failure.code === 'disk_full' && !this.#spec.awaitSystems)) return null;
    const decision = decideRetry(this.#spec.retry, {
      class: failure.class,
      systemCode: failure.systemCode,
      attempt,
      elapsedMs,
      random: Math.random(),
    });
    return decision.kind === 'retry' ? decision.delayMs : null;
  }

  /** A server that went away for longer than the retries is no longer "cannot begin". */
  #outlasted(failure: ForebayError): ForebayError {
    if (!this.#connectedOnce || failure.code !== 'unreachable') return failure;
    return new ForebayError('connection_lost', {
      message: failure.message,
      ...(failure.why === null ? {} : { why: failure.why }),
      cause: failure,
    });
  }

  async #attempt(): Promise<AttemptEnd> {
    const over = new AbortController();
    // What an attempt that broke off still held is gone with it, and counts no longer.
    const slabs = new SlabPool(this.#spec.memoryBytes / 4);
    const context = contextFor(this.#systems, {
      slabs,
      memoryBytes: this.#spec.memoryBytes,
      signal: over.signal,
      notice: (event, { stream, ...fields }) => {
        const details = Object.entries(fields).map(([key, value]) => `${key} ${String(value)}`);
        const message = [event.replaceAll('_', ' '), ...details].join(', ');
        this.#progress.emit(
          { event: 'notice', message },
          typeof stream === 'string' ? stream : null,
        );
      },
    });
    const { drain } = this.#control;
    // Nothing is in hand yet: what waits for an answer is given up at once.
    const giveUp = (): void => over.abort();
    drain.addEventListener('abort', giveUp, { once: true });
    if (drain.aborted) giveUp();
    try {
      await using systems = await openSystems(this.#systems, context);
      this.#connectedOnce = true;
      await this.#assertNotReplaced(systems);
      const { source, destination, sameSystem } = systems;
      await using session = await this.#openSession({ source, destination, sameSystem });
      drain.removeEventListener('abort', giveUp);
      if (failpointsArmed) await failpoint('destination.afterEpoch');
      this.#epoch = session.epoch;
      const attempt: Attempt = {
        mode: this.#mode,
        spec: this.#spec,
        control: this.#control,
        progress: this.#progress,
        slabs,
        source,
        destination,
        session,
        state: session.state,
        streams: new Map(),
        plans: new Map(),
        parallel: this.#spec.parallel ?? defaultParallel(destination.parallelLoads),
        signal: over.signal,
        textOnly: this.#textOnly,
        sameSystem,
        notes: this.#notes,
      };
      this.#streams = attempt.streams;
      return await this.#perform(attempt);
    } finally {
      drain.removeEventListener('abort', giveUp);
      over.abort();
    }
  }

  /** A destination that may not be written tells little of its own; its check knows the statement that mends it. */
  async #openSession(
    systems: Pick<Rehearsal, 'source' | 'destination' | 'sameSystem'>,
  ): Promise<DestinationSession> {
    const { destination } = systems;
    try {
      await rehearse({ mode: this.#mode, spec: this.#spec, ...systems });
      return await destination.openSession(this.#spec.name, {
        acceptDamaged: this.#mode.kind === 'recover',
        run: this.#id,
        exclusive: this.#spec.exclusive,
      });
    } catch (error) {
      if (asForebayError(error).class !== 'auth') throw error;
      throw firstError(await destination.check()) ?? error;
    }
  }

  #perform(attempt: Attempt): Promise<AttemptEnd> {
    switch (this.#mode.kind) {
      case 'copy':
        return runCopy(attempt);
      case 'replicate':
        return runReplicate(attempt, this.#mode.untilCaughtUp);
      case 'recover':
        return runRecover(attempt);
    }
  }

  /** A run that lost its connection may have been replaced while it was away: it must not take the place back. */
  async #assertNotReplaced(systems: {
    readonly destination: { readState(name: string): Promise<PipelineState | null> };
  }): Promise<void> {
    if (this.#epoch === null) return;
    const state = await systems.destination.readState(this.#spec.name);
    // The epoch may have been taken by us, and the answer lost with the connection.
    if (state !== null && (state.epoch === this.#epoch || state.run === this.#id)) return;
    throw new ForebayError('fenced', {
      message: `another run of pipeline ${this.#spec.name} has taken over`,
      why: `epoch ${state?.epoch ?? 'none'} at the destination, ours is ${this.#epoch}`,
    });
  }

  #result(
    status: RunStatus,
    error: ForebayError | null,
    repaired: readonly RepairedStream[] | null,
  ): RunResult {
    const streams = [...this.#streams.values()].map((stream) => this.#streamResult(stream));
    const unbalanced = streams.find((stream) => !accountBalances(stream));
    const failure =
      error ??
      (unbalanced === undefined
        ? null
        : new ForebayError('destination_unmoved', {
            message: `the row account of ${unbalanced.stream} does not balance`,
            stream: unbalanced.stream,
          }));
    const result: RunResult = {
      pipeline: this.#spec.name,
      status: failure === null ? status : 'failed',
      durationMs: Math.round(performance.now() - this.#startedAt),
      streams,
      position: { from: this.#notes.positionFrom, to: this.#notes.positionTo },
      lagMs: this.#progress.lag.lagMs,
      error: failure === null ? null : reportError(failure),
      begun: this.#progress.begun,
      repaired,
    };
    this.#progress.emit({ event: 'stopped', status: result.status });
    return result;
  }

  #streamResult(stream: RunningStream): StreamResult {
    const inChanges = stream.state === 'streaming' && this.#mode.kind !== 'copy';
    return {
      stream: stream.target.id,
      phase: inChanges ? 'changes' : 'snapshot',
      ...this.#progress.account(stream.target.id),
      paused: stream.state === 'paused' ? stream.pause : null,
      pausedEarlier: stream.state === 'paused' && !this.#notes.paused.has(stream.target.id),
    };
  }
}

function defaultParallel(destinationLimit: number): number {
  return Math.max(1, Math.min(destinationLimit, 4, availableParallelism() - 1));
}

/** Runs to its end; failures are in the result. */
export function runPipeline(
  mode: RunMode,
  spec: PipelineSpec,
  systems: PipelineSystems,
  control: RunControl,
): Promise<RunResult> {
  return new Run({ mode, spec, systems, control }).execute();
}
