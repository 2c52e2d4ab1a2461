/** One transaction at a time for whatever came meanwhile: the cost of a commit is shared by all runs. */
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises';
import {
  commitWrites,
  type Journal,
  type JournalWrite,
  type WriteResult,
} from './journal-commit.ts';

/** Writes of one transaction. */
const MOST_WRITES = 500;
const RETRY_MS = 100;
const MOST_RETRY_MS = 1000;

interface Queued {
  readonly write: JournalWrite;
  readonly resolve: (result: WriteResult) => void;
}

export interface CommitFaults {
  /** How long a write is tried again; then its run counts as lost. */
  readonly giveUpAfterMs: number;
  readonly onFault: (error: unknown) => void;
}

export class GroupCommit {
  readonly #journal: () => Journal;
  readonly #faults: CommitFaults;
  readonly #queue: Queued[] = [];
  #running: Promise<void> | null = null;

  constructor(journal: () => Journal, faults: CommitFaults) {
    this.#journal = journal;
    this.#faults = faults;
  }

  /** Resolves once it is durable, in the order of the calls; `fenced` where the run is somebody else's now. */
  add(write: JournalWrite): Promise<WriteResult> {
    const { promise, resolve } = Promise.withResolvers<WriteResult>();
    this.#queue.push({ write, resolve });
    this.#running ??= this.#run();
    return promise;
  }

  async drained(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0) {
      await nextTurn();
      await this.#commit(this.#queue.splice(0, MOST_WRITES));
    }
    this.#running = null;
  }

  async #commit(batch: readonly Queued[]): Promise<void> {
    try {
      await this.#attempt(batch);
    } catch (error) {
      this.#faults.onFault(error);
      // One by one, so that a write that can never be done takes no other with it.
      for (const queued of batch) await this.#insist(queued);
    }
  }

  async #attempt(batch: readonly Queued[]): Promise<void> {
    const results = await commitWrites(
      this.#journal(),
      batch.map(({ write }) => write),
    );
    for (const [index, { resolve }] of batch.entries())
      resolve(results[index] ?? { kind: 'fenced' });
  }

  async #insist(queued: Queued): Promise<void> {
    const until = performance.now() + this.#faults.giveUpAfterMs;
    for (let waitMs = RETRY_MS; ; waitMs = Math.min(waitMs * 2, MOST_RETRY_MS)) {
      try {
        await this.#attempt([queued]);
        return;
      } catch (error) {
        this.#faults.onFault(error);
        if (performance.now() >= until) {
          queued.resolve({ kind: 'fenced' });
          return;
        }
      }
      await delay(waitMs);
    }
  }
}
