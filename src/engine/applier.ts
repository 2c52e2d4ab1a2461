/** Writes pieces of the change stream into the destination's open transaction. */
import type { ChangePiece, StreamItem, TransactionMark } from '../core/change-event.ts';
import { EMPTY_ACCOUNT, type RowAccount, addAccounts } from '../core/checkpoint.ts';
import type { ChangeCapability, WriteResult } from '../core/connector.ts';
import { asForebayError, ForebayError } from '../core/errors.ts';
import { failpoint, failpointsArmed } from '../core/failpoint.ts';
import { ACT_REPLACE, type FoldedRows } from '../core/folded-rows.ts';
import { assertMoved, rowsHanded } from '../core/moved.ts';
import { batchValueBytes, type RowBatch } from '../core/row-batch.ts';
import type { StreamId, StreamSchema } from '../core/stream-schema.ts';
import type { Attempt } from './attempt.ts';
import { countEvents, foldKeyed, foldNothing, type FoldOutput } from './fold.ts';
import { foldMultiset } from './fold-multiset.ts';
import { planEvolution, projectBatch } from './schema-evolution.ts';
import { concernsOneStream } from './snapshot-phase.ts';
import { hasHistory, type RunningStream, toRecord } from './stream-state.ts';
import { needsExactStart } from './targets.ts';

/** A failure that concerns one stream only; the others go on without it. */
export class StreamFailure extends Error {
  readonly stream: RunningStream;
  readonly failure: ForebayError;

  constructor(stream: RunningStream, failure: ForebayError) {
    super(failure.message, { cause: failure });
    this.name = 'StreamFailure';
    this.stream = stream;
    this.failure = failure;
  }
}

export interface ApplierOptions {
  readonly attempt: Attempt;
  readonly changes: ChangeCapability;
  /** The stream's rows hold values that no event told: they are to be read again. */
  readonly readAgain: (stream: RunningStream) => void;
}

export class Applier {
  readonly #options: ApplierOptions;
  #accounts = new Map<StreamId, RowAccount>();
  /** Streams that this transaction changes, as they were before it. */
  #before = new Map<RunningStream, RunningStream>();
  #deadLetters = 0;
  #open = false;
  #borrowed: Buffer[] = [];

  constructor(options: ApplierOptions) {
    this.#options = options;
  }

  /** True while the destination's transaction holds rows of a source transaction that has not ended. */
  get isOpen(): boolean {
    return this.#open;
  }

  /** Writes the piece. The transaction stays open; `takeRecords` and the checkpointer end it. */
  async write(piece: ChangePiece): Promise<void> {
    const { attempt } = this.#options;
    if (!this.#open) {
      if (failpointsArmed) await failpoint('changes.beforeBegin');
      await attempt.session.begin();
      this.#open = true;
    }
    try {
      for (const [id, items] of piece.streams) await this.#stream(id, items, piece.transactions);
      if (failpointsArmed) await failpoint('changes.insideTransaction');
    } finally {
      for (const slab of this.#borrowed) attempt.slabs.give(slab);
      this.#borrowed = [];
    }
  }

  /** The source's transaction is whole: what was refused may have its place by now. */
  async settle(): Promise<void> {
    const settled = (await this.#options.attempt.session.settle?.()) ?? new Map<StreamId, number>();
    for (const [id, rows] of settled) {
      this.#deadLetters -= rows;
      this.#count(id, { ...EMPTY_ACCOUNT, applied: rows, deadLettered: -rows });
    }
  }

  /** Brings a stream to the columns that its table has now; begins a transaction that is to be committed. */
  async evolve(stream: RunningStream, schema: StreamSchema): Promise<void> {
    await this.#options.attempt.session.begin();
    this.#open = true;
    try {
      await this.#evolve(stream, schema);
    } catch (error) {
      const failure = asForebayError(error);
      if (!concernsOneStream(failure)) throw failure;
      throw new StreamFailure(stream, failure);
    }
  }

  /** Records that belong into the commit. */
  records(): ReturnType<typeof toRecord>[] {
    return [...this.#before.keys()].map(toRecord);
  }

  /** What the run's accounts will be once this transaction is committed. */
  accounts(): Record<StreamId, RowAccount> {
    const { attempt } = this.#options;
    const sum: Record<StreamId, RowAccount> = {};
    for (const id of attempt.streams.keys()) {
      const earlier = attempt.state.checkpoint?.accounts[id] ?? EMPTY_ACCOUNT;
      sum[id] = addAccounts(
        addAccounts(earlier, attempt.progress.account(id)),
        this.#accounts.get(id) ?? EMPTY_ACCOUNT,
      );
    }
    return sum;
  }

  committed(): void {
    const { attempt } = this.#options;
    for (const [id, account] of this.#accounts) attempt.progress.count(id, account);
    if (this.#accounts.size > 0) attempt.progress.begun = true;
    attempt.notes.advanced = true;
    this.#accounts = new Map();
    this.#before = new Map();
    this.#open = false;
  }

  /** What is written but not committed is given up; nothing is written after it. */
  async giveUp(): Promise<void> {
    await this.#options.attempt.session.rollback();
    for (const [stream, was] of this.#before) Object.assign(stream, was);
  }

  #count(id: StreamId, account: RowAccount): void {
    this.#accounts.set(id, addAccounts(this.#accounts.get(id) ?? EMPTY_ACCOUNT, account));
  }

  async #stream(
    id: StreamId,
    items: readonly StreamItem[],
    transactions: readonly TransactionMark[],
  ): Promise<void> {
    const stream = this.#options.attempt.streams.get(id);
    const takes =
      stream !== undefined && (stream.state === 'streaming' || stream.state === 'snapshot');
    if (!takes) {
      this.#leaveOut(id, items);
      if (stream?.state === 'pending') adoptSchema(stream, items);
      return;
    }
    try {
      await this.#items(stream, items, transactions);
    } catch (error) {
      const failure = asForebayError(error);
      if (!concernsOneStream(failure)) throw failure;
      throw new StreamFailure(stream, failure);
    }
  }

  #leaveOut(id: StreamId, items: readonly StreamItem[]): void {
    const events = items.reduce(
      (sum, item) => sum + (item.kind === 'rows' ? countEvents(item.batch) : 0),
      0,
    );
    if (events > 0) this.#count(id, { ...EMPTY_ACCOUNT, read: events, filtered: events });
  }

  async #items(
    stream: RunningStream,
    items: readonly StreamItem[],
    transactions: readonly TransactionMark[],
  ): Promise<void> {
    // Such a stream is loaded whole under a snapshot that shows these rows; here they would come twice.
    const toBeLoaded = (): boolean =>
      stream.state === 'snapshot' && needsExactStart(stream.target) && !hasHistory(stream);
    let batches: RowBatch[] = [];
    const flush = async (): Promise<void> => {
      if (batches.length > 0) await this.#rows(stream, batches, transactions);
      batches = [];
    };
    for (const item of items) {
      if (item.kind === 'rows') {
        if (toBeLoaded()) this.#leaveOut(stream.target.id, [item]);
        else batches.push(item.batch);
        continue;
      }
      await flush();
      if (item.kind === 'schema') await this.#evolve(stream, item.schema);
      else {
        throw new ForebayError('table_dropped', { message: item.reason, stream: stream.target.id });
      }
    }
    await flush();
  }

  async #evolve(stream: RunningStream, schema: StreamSchema): Promise<void> {
    const { attempt } = this.#options;
    const { target } = stream;
    const plan = planEvolution(target.schema, schema, {
      policy: attempt.spec.schemaChanges,
      retired: stream.retired,
    });
    switch (plan.kind) {
      case 'pause':
        throw new ForebayError('schema_change', {
          message: `${target.id} changed at the source`,
          why: plan.reason,
          stream: target.id,
        });
      case 'ignore':
        for (const change of plan.changes)
          attempt.progress.emit(
            { event: 'schema-change', change: `ignored: ${change}` },
            target.id,
          );
        return;
      case 'evolve':
        break;
    }
    if (failpointsArmed) await failpoint('schema.beforeEvolve');
    const dropped = target.schema.columns
      .filter((column) => !schema.columns.some((now) => now.ref === column.ref))
      .map((column) => column.name);
    if (!this.#before.has(stream)) this.#before.set(stream, { ...stream });
    stream.target = { ...target, schema };
    stream.retired = [...new Set([...stream.retired, ...dropped])];
    // What is to be built beside will be made with these columns; the table in use is about to go.
    const madeLater = target.load === 'replace' && stream.state === 'snapshot';
    if (!madeLater) await attempt.session.evolve(stream.target, plan.steps);
    if (failpointsArmed) await failpoint('schema.afterEvolve');
    if (plan.readAgain) this.#options.readAgain(stream);
    for (const change of plan.changes)
      attempt.progress.emit({ event: 'schema-change', change }, target.id);
  }

  async #rows(
    stream: RunningStream,
    given: readonly RowBatch[],
    transactions: readonly TransactionMark[],
  ): Promise<void> {
    const { attempt } = this.#options;
    const { target } = stream;
    const batches = given.map((batch) =>
      batch.schema.version === target.schema.version &&
      batch.schema.columns.length === target.schema.columns.length
        ? batch
        : projectBatch(batch, target.schema),
    );
    const folded = this.#fold(stream, batches, transactions);
    this.#borrowed.push(...folded.slabs);
    const { read, folded: superseded } = folded;
    let { filtered } = folded;
    let deadLettered = 0;
    for (const rows of folded.rows) {
      const result = await attempt.session.write(target, rows);
      assertMoved(target.id, rowsHanded(rows), result);
      for (const { filtered: out, deadLettered: refused } of [
        result,
        ...(await this.#heal(stream, result)),
      ]) {
        filtered += out ?? 0;
        deadLettered += refused;
      }
    }
    this.#deadLetters += deadLettered;
    if (this.#deadLetters > attempt.spec.errorBudget) {
      throw new ForebayError('error_budget', {
        message: `more than ${attempt.spec.errorBudget} rows were refused by the destination`,
        stream: target.id,
      });
    }
    const bytes = batches.reduce((sum, batch) => sum + batchValueBytes(batch), 0);
    this.#count(target.id, {
      read,
      applied: read - superseded - filtered - deadLettered,
      folded: superseded,
      filtered,
      deadLettered,
      bytes,
    });
    attempt.progress.moved(target.id, read, bytes);
  }

  #fold(
    stream: RunningStream,
    batches: readonly RowBatch[],
    transactions: readonly TransactionMark[],
  ): FoldOutput {
    const input = {
      batches,
      skip: batches.map((batch) => this.#alreadyThere(stream, batch, transactions)),
      transactions,
      slabs: this.#options.attempt.slabs,
    };
    const { load, stamp, schema } = stream.target;
    // Whoever makes current rows of such a history must hear that a row left its key.
    if (load === 'append')
      return foldNothing(input, stamp !== undefined && schema.identity === 'key');
    return stream.target.schema.identity === 'key' ? foldKeyed(input) : foldMultiset(input);
  }

  /** Rows of transactions that the stream's snapshot has shown already. */
  #alreadyThere(
    stream: RunningStream,
    batch: RowBatch,
    transactions: readonly TransactionMark[],
  ): Uint8Array | null {
    const { visibility } = stream;
    if (visibility === null) return null;
    const seen = transactions.map((mark) => this.#options.changes.isVisible(visibility, mark));
    if (!seen.includes(true)) return null;
    return Uint8Array.from(batch.transactions, (transaction) =>
      seen[transaction] === true ? 1 : 0,
    );
  }

  /**
   * An update that left columns alone found no row: the row moved between two readings of the table. Its current
   * state is read from the source; the changes that follow bring it to where it should be. So it is with all such
   * updates where rows are transformed on the way.
   */
  async #heal(stream: RunningStream, result: WriteResult): Promise<readonly WriteResult[]> {
    const { attempt, changes } = this.#options;
    const results: WriteResult[] = [];
    for (const { batch, rows } of result.missing) {
      let found: RowBatch | null;
      try {
        found = await changes.lookup(stream.target.schema, batch, rows);
      } catch (error) {
        if (asForebayError(error).code !== 'table_held') throw error;
        // Nothing may wait for whoever holds it: the row comes when the table is read again.
        if (!this.#before.has(stream)) this.#before.set(stream, { ...stream });
        this.#options.readAgain(stream);
        return results;
      }
      if (found === null) continue;
      const folded: FoldedRows = {
        kind: 'keyed',
        parts: [{ batch: found, actions: new Uint8Array(found.rowCount).fill(ACT_REPLACE) }],
      };
      try {
        results.push(await attempt.session.write(stream.target, folded));
      } finally {
        attempt.slabs.give(found.slab);
      }
    }
    return results;
  }
}

/** The table of such a stream is not made yet: it will have the schema that the stream has by then. */
function adoptSchema(stream: RunningStream, items: readonly StreamItem[]): void {
  for (const item of items) {
    if (item.kind === 'schema') stream.target = { ...stream.target, schema: item.schema };
  }
}
