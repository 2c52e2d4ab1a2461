import { DEFAULT_LIMITS, type TransformLimits, type TransformSource } from './build-transform.ts';
import type { Outcome } from './document-transform.ts';
import type { ModuleSources } from './sandbox/module-files.ts';
import { type BatchEnd, type BrokenEnd, interrupted, Thread } from './thread.ts';

export interface TransformRunner extends AsyncDisposable {
  /**
   * One outcome per document, in their order; batches are taken one after the other. Throws `interrupted`
   * when the signal aborts or the runner is disposed of.
   */
  readonly run: (documents: readonly string[], signal: AbortSignal) => Promise<readonly Outcome[]>;
}

export interface RunnerRequest {
  readonly transform: TransformSource;
  /** Interrupts the opening; a batch has its own. */
  readonly signal: AbortSignal;
  readonly limits?: Partial<TransformLimits>;
}

/**
 * Opens a worker thread that transforms documents. Throws `transform_specification` if the transform cannot
 * be built, and what its building throws. A document that loops, exhausts the memory or ends the thread has a
 * failed outcome; the next ones go on in a new thread.
 */
export async function openTransformRunner(request: RunnerRequest): Promise<TransformRunner> {
  const limits = { ...DEFAULT_LIMITS, ...request.limits };
  const threads = new Threads(request.transform, limits);
  await threads.use(request.signal);
  let last: Promise<unknown> = Promise.resolve();
  return {
    run: (documents, signal) => {
      const outcomes = last.then(() => transformAll(threads, documents, signal));
      last = outcomes.catch(() => {});
      return outcomes;
    },
    async [Symbol.asyncDispose]() {
      await threads.close();
      await last;
    },
  };
}

/** At most one thread at a time, begun when it is needed. */
class Threads {
  readonly #source: TransformSource;
  readonly limits: TransformLimits;
  readonly #closing = new AbortController();
  #thread: Thread | null = null;
  #sources: ModuleSources = new Map();

  constructor(source: TransformSource, limits: TransformLimits) {
    this.#source = source;
    this.limits = limits;
  }

  async use(signal: AbortSignal): Promise<Thread> {
    if (this.#closing.signal.aborted) throw interrupted();
    if (this.#thread !== null) return this.#thread;
    const request = { source: this.#source, limits: this.limits, sources: this.#sources };
    this.#thread = await Thread.open(request, AbortSignal.any([signal, this.#closing.signal]));
    this.#sources = this.#thread.sources;
    if (!this.#closing.signal.aborted) return this.#thread;
    // Closed just when it had become ready.
    await this.drop();
    throw interrupted();
  }

  async drop(): Promise<void> {
    const thread = this.#thread;
    this.#thread = null;
    await thread?.end();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.drop();
  }
}

/** A document that a thread did not survive. */
interface Suspect {
  readonly at: number;
  /** Null: it may be innocent, and is tried again alone in a thread of its own. */
  readonly failure: Outcome | null;
}

/** So many units of text go to the thread at once, or one document; it has to hold them all. */
const PART_UNITS = 4 * 1024 * 1024;

function partEnd(documents: readonly string[], from: number, end: number): number {
  let to = from;
  for (let units = 0; to < end; to += 1) {
    units += documents[to]?.length ?? 0;
    if (units > PART_UNITS && to > from) return to;
  }
  return to;
}

interface PartEnd {
  readonly end: BatchEnd;
  /** Whether it was the first the thread did. */
  readonly isFresh: boolean;
}

async function transformAll(
  threads: Threads,
  documents: readonly string[],
  signal: AbortSignal,
): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  let suspect: Suspect | null = null;
  while (outcomes.length < documents.length) {
    const from = outcomes.length;
    if (suspect?.at === from && suspect.failure !== null) {
      outcomes.push(suspect.failure);
      suspect = null;
      continue;
    }
    const isAlone = suspect?.at === from;
    if (isAlone) await threads.drop();
    const to = isAlone ? from + 1 : partEnd(documents, from, suspect?.at ?? documents.length);
    const { end, isFresh }: PartEnd = await runPart(threads, documents.slice(from, to), signal);
    outcomes.push(...accepted(end, isFresh));
    const known: Suspect | null = isAlone ? null : suspect;
    suspect = suspicion(end, { from, isFresh, known, limits: threads.limits });
  }
  return outcomes;
}

async function runPart(
  threads: Threads,
  documents: readonly string[],
  signal: AbortSignal,
): Promise<PartEnd> {
  const thread = await threads.use(signal);
  const { isFresh } = thread;
  try {
    const end = await thread.run(documents, signal);
    if (end.kind !== 'done') await threads.drop();
    return { end, isFresh };
  } catch (error) {
    await threads.drop();
    throw error;
  }
}

/** What earlier documents left behind may have filled a memory: the last of them is then tried again alone. */
function isDoubtful(end: BatchEnd, isFresh: boolean): boolean {
  const last = end.outcomes.at(-1);
  const isMemory = last?.kind === 'failed' && last.code === 'transform_memory';
  return end.kind === 'spent' && isMemory && !(isFresh && end.outcomes.length === 1);
}

function accepted(end: BatchEnd, isFresh: boolean): readonly Outcome[] {
  return isDoubtful(end, isFresh) ? end.outcomes.slice(0, -1) : end.outcomes;
}

interface Part {
  readonly from: number;
  readonly isFresh: boolean;
  readonly known: Suspect | null;
  readonly limits: TransformLimits;
}

function suspicion(end: BatchEnd, { from, isFresh, known, limits }: Part): Suspect | null {
  if (isDoubtful(end, isFresh)) return { at: from + end.outcomes.length - 1, failure: null };
  if (end.kind !== 'broken') return known;
  const isCertain = end.code === 'transform_timeout' || (isFresh && end.at === 0);
  return { at: from + end.at, failure: isCertain ? failureOf(end.code, limits) : null };
}

function failureOf(code: BrokenEnd['code'], limits: TransformLimits): Outcome {
  const message = {
    transform_timeout: `the document took longer than ${limits.documentMs} ms`,
    transform_memory: `the document took more than ${Math.round(limits.threadMemoryBytes / 1024 / 1024)} MiB`,
    transform_module: 'the document ended the worker',
  }[code];
  return { kind: 'failed', code, message };
}
