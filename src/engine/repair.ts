/** Writes the rows that compare found to differ, and nothing else, through the destination's own transactions. */
import {
  type Checkpoint,
  EMPTY_ACCOUNT,
  type RowAccount,
  addAccounts,
} from '../core/checkpoint.ts';
import { ForebayError } from '../core/errors.ts';
import { ACT_DELETE, ACT_INSERT, ACT_REPLACE, type FoldedRows } from '../core/folded-rows.ts';
import { OP_DELETE, OP_READ, type RowBatch } from '../core/row-batch.ts';
import type { StreamId } from '../core/stream-schema.ts';
import type { Attempt } from './attempt.ts';
import type { DifferenceSink } from './compare.ts';
import { RowCopies } from './row-copies.ts';
import { type HashShape, identityColumns } from './row-hash.ts';
import type { RunningStream } from './stream-state.ts';

const MAX_ROWS = 100_000;
const MAX_BYTES = 16 * 1024 * 1024;

/** Accounts of the pipeline as they are once what this run has counted is committed. */
export function accountsSoFar(attempt: Attempt): Record<StreamId, RowAccount> {
  const sum: Record<StreamId, RowAccount> = { ...attempt.state.checkpoint?.accounts };
  for (const id of attempt.streams.keys()) {
    sum[id] = addAccounts(sum[id] ?? EMPTY_ACCOUNT, attempt.progress.account(id));
  }
  return sum;
}

export interface RepairOptions {
  readonly attempt: Attempt;
  readonly stream: RunningStream;
  readonly shape: HashShape;
  /** The lost one: until all is repaired, a run that goes on from it must fail. */
  readonly checkpoint: Checkpoint;
}

/**
 * Removes come before writes wherever the memory allows, so that a unique value can pass from one row to another.
 */
export class RepairWriter implements DifferenceSink {
  readonly #options: RepairOptions;
  readonly #writes: RowCopies;
  readonly #removes: RowCopies;
  #deadLettered = 0;

  constructor(options: RepairOptions) {
    this.#options = options;
    const { shape, attempt } = options;
    const { slabs } = attempt;
    const key = identityColumns(shape.schema);
    const all = shape.schema.columns.map((_, index) => index);
    this.#writes = new RowCopies({ shape, slabs, from: all, op: OP_READ });
    this.#removes = new RowCopies({
      shape,
      slabs,
      from: all.map((column) => key.indexOf(column)),
      op: OP_DELETE,
    });
  }

  get full(): boolean {
    const rows = this.#writes.rows + this.#removes.rows;
    return rows >= MAX_ROWS || this.#writes.bytes + this.#removes.bytes >= MAX_BYTES;
  }

  write(batch: RowBatch, row: number): void {
    this.#writes.add(batch, row);
  }

  remove(batch: RowBatch, row: number, copies: number): void {
    const { target } = this.#options.stream;
    if (target.deletes === 'ignore') return;
    const times = target.schema.identity === 'key' ? 1 : copies;
    for (let n = 0; n < times; n += 1) this.#removes.add(batch, row);
  }

  async flush(): Promise<void> {
    const rows = this.#writes.rows + this.#removes.rows;
    if (rows === 0) return;
    const { attempt, stream, checkpoint } = this.#options;
    const bytes = this.#writes.bytes + this.#removes.bytes;
    await attempt.session.begin();
    let deadLettered = 0;
    try {
      deadLettered += await this.#send(this.#removes, ACT_DELETE);
      const keyed = stream.target.schema.identity === 'key';
      deadLettered += await this.#send(this.#writes, keyed ? ACT_REPLACE : ACT_INSERT);
      this.#assertBudget(deadLettered);
      await attempt.session.commit({ ...checkpoint, accounts: accountsSoFar(attempt) }, []);
    } catch (error) {
      await attempt.session.rollback();
      throw error;
    }
    this.clear();
    this.#deadLettered += deadLettered;
    attempt.progress.count(stream.target.id, {
      ...EMPTY_ACCOUNT,
      read: rows,
      applied: rows - deadLettered,
      deadLettered,
      bytes,
    });
    attempt.progress.begun = true;
    attempt.notes.advanced = true;
  }

  clear(): void {
    this.#writes.clear();
    this.#removes.clear();
  }

  async #send(copies: RowCopies, action: number): Promise<number> {
    if (copies.rows === 0) return 0;
    const { attempt, stream } = this.#options;
    const parts = copies.batches().map((batch) => ({
      batch,
      actions: new Uint8Array(batch.rowCount).fill(action),
    }));
    const kind = stream.target.schema.identity === 'key' ? 'keyed' : 'multiset';
    const folded: FoldedRows = { kind, parts };
    const { deadLettered } = await attempt.session.write(stream.target, folded);
    attempt.progress.moved(stream.target.id, copies.rows, copies.bytes);
    return deadLettered;
  }

  #assertBudget(deadLettered: number): void {
    const { attempt, stream } = this.#options;
    if (this.#deadLettered + deadLettered <= attempt.spec.errorBudget) return;
    throw new ForebayError('error_budget', {
      message: `more than ${attempt.spec.errorBudget} rows were refused by the destination`,
      stream: stream.target.id,
    });
  }
}
