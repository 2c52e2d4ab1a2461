/** The main thread's side of one worker: it answers batches until it is spent, broken or ended. */
import { Worker } from 'node:worker_threads';
import { ForebayError } from '../core/errors.ts';
import type { TransformLimits, TransformSource } from './build-transform.ts';
import type { Outcome } from './document-transform.ts';
import type { ModuleSources } from './sandbox/module-files.ts';
import { type FromWorker, unpackOutcome, type WorkerInput } from './worker-messages.ts';

/** How a batch ended; `outcomes` are those of its first documents. */
export type BatchEnd =
  | { readonly kind: 'done'; readonly outcomes: readonly Outcome[] }
  | { readonly kind: 'spent'; readonly outcomes: readonly Outcome[] }
  | BrokenEnd;

export interface BrokenEnd {
  readonly kind: 'broken';
  readonly outcomes: readonly Outcome[];
  /** Which document of the batch it was. */
  readonly at: number;
  readonly code: 'transform_timeout' | 'transform_memory' | 'transform_module';
}

/** Beyond a document's own time, for what the platform does in between. */
const GRACE_MS = 500;
/** Time a large document may take besides: what the slowest machine reads and writes. */
const UNITS_PER_MS = 10_000;
const START_MS = 20_000;

interface Batch {
  readonly size: number;
  readonly outcomes: Outcome[];
  readonly end: (end: BatchEnd | ForebayError) => void;
}

export interface ThreadRequest {
  readonly source: TransformSource;
  readonly limits: TransformLimits;
  readonly sources: ModuleSources;
}

export class Thread {
  readonly #worker: Worker;
  readonly #limits: TransformLimits;
  readonly #progress: Int32Array;
  readonly #ready = Promise.withResolvers<void>();
  #allowanceMs = START_MS;
  #batch: Batch | null = null;
  #death: 'transform_memory' | 'transform_module' | null = null;
  /** Whether it has seen no document yet. */
  isFresh = true;

  /** What its modules read; a thread that follows it is given them. */
  sources: ModuleSources;

  private constructor({ source, limits, sources }: ThreadRequest) {
    this.#limits = limits;
    this.sources = sources;
    const progress = new SharedArrayBuffer(4);
    this.#progress = new Int32Array(progress);
    const input: WorkerInput = { source, limits, sources, progress };
    // Compiled or straight from the sources.
    const file = import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js';
    this.#worker = new Worker(new URL(file, import.meta.url), {
      name: 'forebay-transform',
      workerData: input,
      env: {},
      // Node calls its own stripping of types experimental, once in every worker. The process's own flags
      // are left out: a worker refuses to start with some of them.
      execArgv: ['--disable-warning=ExperimentalWarning'],
      resourceLimits: { maxOldGenerationSizeMb: Math.ceil(limits.threadMemoryBytes / 1024 / 1024) },
    });
    this.#worker.on('message', (message: FromWorker) => this.#receive(message));
    this.#worker.on('error', (error) => this.#die(error));
    this.#worker.on('exit', () => this.#die(null));
  }

  /** Throws `transform_specification`, `transform_timeout`, `interrupted`. */
  static async open(request: ThreadRequest, signal: AbortSignal): Promise<Thread> {
    const thread = new Thread(request);
    const interrupt = () => thread.#ready.reject(interrupted());
    const timer = setTimeout(() => thread.#ready.reject(slowStart()), START_MS);
    signal.addEventListener('abort', interrupt);
    try {
      if (signal.aborted) interrupt();
      await thread.#ready.promise;
      return thread;
    } catch (error) {
      await thread.end();
      throw error;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', interrupt);
    }
  }

  /** Throws `interrupted` when the signal aborts; the thread must be ended then. One batch at a time. */
  async run(documents: readonly string[], signal: AbortSignal): Promise<BatchEnd> {
    if (signal.aborted) throw interrupted();
    const { promise, resolve } = Promise.withResolvers<BatchEnd | ForebayError>();
    this.#batch = { size: documents.length, outcomes: [], end: resolve };
    Atomics.store(this.#progress, 0, 0);
    const interrupt = () => this.#finish(interrupted());
    signal.addEventListener('abort', interrupt);
    const longest = documents.reduce((most, document) => Math.max(most, document.length), 0);
    const watch = this.#watch(this.#allowanceMs + longest / UNITS_PER_MS);
    try {
      if (this.#death === null) this.#worker.postMessage(documents);
      else this.#finish(this.#dead(this.#death));
      const end = await promise;
      if (end instanceof ForebayError) throw end;
      return end;
    } finally {
      clearInterval(watch);
      signal.removeEventListener('abort', interrupt);
      this.isFresh = false;
    }
  }

  async end(): Promise<void> {
    this.#finish(interrupted());
    await this.#worker.terminate();
  }

  /** Ends the batch when one document has been worked on for longer than it may. */
  #watch(allowanceMs: number): NodeJS.Timeout {
    let seen = -1;
    let since = performance.now();
    return setInterval(
      () => {
        const at = Atomics.load(this.#progress, 0);
        const received = this.#batch?.outcomes.length ?? 0;
        // Outcomes that arrive are progress too: the last part may take a while to come over.
        if (at + received !== seen) {
          seen = at + received;
          since = performance.now();
        } else if (performance.now() - since > allowanceMs) {
          const { outcomes } = this.#batch ?? { outcomes: [] };
          this.#finish({ kind: 'broken', outcomes, at, code: 'transform_timeout' });
        }
      },
      Math.min(allowanceMs / 8, 250),
    );
  }

  #receive(message: FromWorker): void {
    switch (message.kind) {
      case 'ready':
        this.#allowanceMs = this.#limits.documentMs * Math.max(1, message.moduleCount) + GRACE_MS;
        this.sources = message.sources;
        this.#ready.resolve();
        return;
      case 'refused': {
        const why = message.why === null ? {} : { why: message.why };
        this.#ready.reject(new ForebayError(message.code, { message: message.message, ...why }));
        return;
      }
      case 'part':
      case 'spent':
        this.#take(message);
    }
  }

  #take({ kind, outcomes }: FromWorker & { readonly kind: 'part' | 'spent' }): void {
    const batch = this.#batch;
    if (batch === null) return;
    for (const packed of outcomes) batch.outcomes.push(unpackOutcome(packed));
    if (kind === 'spent') this.#finish({ kind: 'spent', outcomes: batch.outcomes });
    else if (batch.outcomes.length === batch.size) {
      this.#finish({ kind: 'done', outcomes: batch.outcomes });
    }
  }

  #die(error: unknown): void {
    const code = error instanceof Error && 'code' in error ? error.code : null;
    this.#death ??= code === 'ERR_WORKER_OUT_OF_MEMORY' ? 'transform_memory' : 'transform_module';
    this.#ready.reject(
      new ForebayError(this.#death === 'transform_memory' ? 'transform_memory' : 'internal', {
        message: 'The transformation worker ended before it was ready',
        cause: error,
      }),
    );
    this.#finish(this.#dead(this.#death));
  }

  #dead(code: 'transform_memory' | 'transform_module'): BatchEnd {
    const outcomes = this.#batch?.outcomes ?? [];
    return { kind: 'broken', outcomes, at: Atomics.load(this.#progress, 0), code };
  }

  #finish(end: BatchEnd | ForebayError): void {
    const batch = this.#batch;
    this.#batch = null;
    batch?.end(end);
  }
}

export function interrupted(): ForebayError {
  return new ForebayError('interrupted', { message: 'The transformation was interrupted' });
}

function slowStart(): ForebayError {
  return new ForebayError('transform_timeout', {
    message: `The transformation worker was not ready within ${START_MS / 1000} s`,
  });
}
