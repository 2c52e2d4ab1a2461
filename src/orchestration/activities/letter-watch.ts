/** Brings the index of dead letters up while a pipeline runs, and when it has ended. */
import type { RowAccount } from '../../core/checkpoint.ts';
import { asForebayError } from '../../core/errors.ts';
import type { RunMeter } from '../../engine/pipeline.ts';
import { lastStarted } from '../../metadata/executions.ts';
import { scopeOf } from '../../metadata/scope.ts';
import type { Layer } from '../../metadata/tables.ts';
import type { ExecutionRef } from '../flows/activities.ts';
import type { ActivityDeps, PipelineSetup } from './deps.ts';
import type { ExecutionLog } from './execution-log.ts';
import { bringUpLetters } from './letter-index.ts';

/** All letters are looked at each time: that takes a twentieth of the time at most. */
const PAUSE_FACTOR = 20;
const LEAST_PAUSE_MS = 1000;
/** Letters that later changes outdate show in no count. */
const OPEN_PAUSE_MS = 15_000;
/** For what an execution that was cancelled has left. */
const LAST_LOOK_MS = 5000;
/** For what an earlier execution has left. */
const FIRST_LOOK_MS = 15_000;

export interface LetterWatchWork {
  readonly deps: ActivityDeps;
  readonly ref: ExecutionRef;
  readonly setup: Pick<PipelineSetup, 'scope' | 'destination'>;
  readonly layer: Layer | null;
  readonly log: ExecutionLog;
  readonly signal: AbortSignal;
}

/** The next one who looks finds what is left out. Gives how many are open; null: it could not be done. */
async function attempt(work: LetterWatchWork, signal: AbortSignal): Promise<number | null> {
  const { deps, ref, setup, layer, log } = work;
  try {
    const { pipelineId, executionId } = ref;
    return await bringUpLetters(deps, { ...setup, pipelineId, executionId, layer, signal });
  } catch (error) {
    const { code } = asForebayError(error);
    if (!signal.aborted)
      log.add('debug', `The dead letters could not be looked at (${code}); they will be later`);
    return null;
  }
}

/** An act that may dead-letter rows; they are looked at however it ends. */
export async function thenLookAtLetters<T>(
  work: LetterWatchWork,
  act: () => Promise<T>,
): Promise<T> {
  try {
    return await act();
  } finally {
    const { signal } = work;
    await attempt(work, signal.aborted ? AbortSignal.timeout(LAST_LOOK_MS) : signal);
  }
}

/** For a run that goes on: `look` is called again and again. */
export class LetterWatch {
  readonly #work: LetterWatchWork;
  /** At the start there may be some of this execution from before a crash. */
  #rejected = true;
  #moved = false;
  #open = 0;
  #lookedAt = 0;
  #pauseMs = 0;
  #looking: Promise<void> | null = null;
  readonly #over = new AbortController();

  constructor(work: LetterWatchWork) {
    this.#work = work;
  }

  get meter(): RunMeter {
    return {
      moved: () => {},
      counted: (_, account: RowAccount) => {
        this.#moved = true;
        if (account.deadLettered !== 0) this.#rejected = true;
      },
    };
  }

  /** Begins to look where there is a reason to; does not wait for it. */
  look(): void {
    const sinceMs = performance.now() - this.#lookedAt;
    const outdated = this.#moved && this.#open > 0 && sinceMs > OPEN_PAUSE_MS;
    if (this.#looking !== null || (!this.#rejected && !outdated) || sinceMs < this.#pauseMs) return;
    this.#rejected = false;
    this.#moved = false;
    this.#looking = this.#look().finally(() => {
      this.#looking = null;
    });
  }

  async end(): Promise<void> {
    this.#over.abort();
    await this.#looking;
  }

  async #look(): Promise<void> {
    const startedAt = performance.now();
    const signal = AbortSignal.any([this.#work.signal, this.#over.signal]);
    const open = await attempt(this.#work, signal);
    this.#lookedAt = performance.now();
    this.#pauseMs = Math.max(LEAST_PAUSE_MS, PAUSE_FACTOR * (this.#lookedAt - startedAt));
    if (open === null) this.#rejected = true;
    else this.#open = open;
  }
}

/**
 * Before an execution begins: from now on the number of its failed records is known, and letters that nobody knows yet
 * are its own; those that the one before it may have left when it broke off are entered as that one's.
 */
export async function beginLetters(
  deps: ActivityDeps,
  ref: ExecutionRef,
  loadSetup: () => Promise<PipelineSetup>,
): Promise<void> {
  const { db } = deps.metadata;
  const scope = scopeOf(ref.organizationId);
  const { pipelineId, executionId } = ref;
  const before = await lastStarted(db, scope, { pipelineId, except: executionId });
  if (before === null || before.status === 'completed') return;
  try {
    const { destination } = await loadSetup();
    const signal = AbortSignal.timeout(FIRST_LOOK_MS);
    const earlier = { scope, pipelineId, destination, executionId: before.id, layer: null, signal };
    await bringUpLetters(deps, earlier);
  } catch {
    // The execution itself will tell what is wrong with the destination.
  }
}
