/**
 * Rows that the destination has and the source has not, looked for once a stream has been read again: reading replaces
 * rows and adds some, and takes none away. The keys of both sides are read beside the stream, which goes on meanwhile,
 * so what is found is a suspicion only: the row may have come to the source since, or be on its way out. Each is
 * looked up at the source between two transactions, and is removed where it is not there: whatever brings it back is
 * committed later, and comes with the changes. Where the source cannot look up, the stream waits while keys are read.
 */
import { EMPTY_ACCOUNT, type StreamRecord } from '../core/checkpoint.ts';
import type { ChangeCapability, SnapshotReader } from '../core/connector.ts';
import { asForebayError, type ForebayError } from '../core/errors.ts';
import { ACT_DELETE } from '../core/folded-rows.ts';
import { OP_DELETE, type RowBatch } from '../core/row-batch.ts';
import { type Attempt, needSnapshot } from './attempt.ts';
import { type DifferenceSink, findDifferences, type StreamSides, sumStreams } from './compare.ts';
import { HELD_RETRY_MS, LOCK_WAIT_MS } from './held-tables.ts';
import { RowCopies } from './row-copies.ts';
import { tellEnd } from './resync.ts';
import type { HashShape } from './row-hash.ts';
import { concernsOneStream, pauseStream } from './snapshot-phase.ts';
import { comparedEncodings, keySidesOf } from './stream-sides.ts';
import { type RunningStream, toRecord } from './stream-state.ts';

/** Looked up and removed at once, while the stream waits. */
const MOST_AT_ONCE = 5000;

export interface SurplusOptions {
  readonly attempt: Attempt;
  readonly changes: Pick<ChangeCapability, 'lookup' | 'findsRows'>;
  /** Shows all that was applied; null: not yet. */
  readonly openSnapshot: () => Promise<SnapshotReader | null>;
  /** Ends the transaction that was begun, where the stream has come to. */
  readonly commit: (records: readonly StreamRecord[]) => Promise<void>;
}

interface Suspects {
  /** Of the stream's columns; only those of the key are there. */
  readonly rows: RowCopies;
  /** There are more than were taken. */
  readonly more: boolean;
}

type Search =
  | { readonly kind: 'under-way' }
  | { readonly kind: 'found'; readonly suspects: Suspects; readonly version: number }
  | { readonly kind: 'failed'; readonly at: number };

const isLookedFor = ({ surplus, state }: RunningStream): boolean =>
  surplus && state === 'streaming';

export class SurplusRows {
  readonly #options: SurplusOptions;
  /** One at a time: each reads two whole tables. */
  #search: { readonly stream: RunningStream; state: Search } | null = null;
  #failure: ForebayError | null = null;

  constructor(options: SurplusOptions) {
    this.#options = options;
  }

  /** Streams that may have such rows still. */
  get waiting(): number {
    const streams = [...this.#options.attempt.streams.values()];
    return streams.filter(({ surplus, state }) => surplus && state !== 'paused').length;
  }

  /** Between two transactions. */
  async step(): Promise<void> {
    if (this.#failure !== null) throw this.#failure;
    const search = this.#search;
    if (search === null) {
      const stream = [...this.#options.attempt.streams.values()].find(isLookedFor);
      if (stream !== undefined) await this.#begin(stream);
      return;
    }
    const { stream, state } = search;
    if (state.kind === 'under-way') return;
    if (state.kind === 'failed') {
      if (performance.now() - state.at < HELD_RETRY_MS) return;
      this.#search = null;
      return;
    }
    const goesOn = isLookedFor(stream) && stream.target.schema.version === state.version;
    if (goesOn) {
      await using shown = await this.#options.openSnapshot();
      if (shown === null) return;
      await this.#confirm(stream, state.suspects);
    }
    state.suspects.rows.clear();
    this.#search = null;
  }

  async #begin(stream: RunningStream): Promise<void> {
    const { changes, openSnapshot } = this.#options;
    if (changes.findsRows === true) {
      this.#search = { stream, state: { kind: 'under-way' } };
      void this.#beside(stream);
      return;
    }
    await using shown = await openSnapshot();
    if (shown === null) return;
    const suspects = await this.#look(stream, shown);
    await this.#remove(stream, suspects.rows.batches(), suspects.more);
    suspects.rows.clear();
  }

  async #beside(stream: RunningStream): Promise<void> {
    const { attempt } = this.#options;
    const { version } = stream.target.schema;
    const end = (state: Search): void => {
      if (this.#search?.stream === stream) this.#search.state = state;
    };
    try {
      await using reader = await needSnapshot(attempt.source).open({
        parallel: 1,
        lockWaitMs: LOCK_WAIT_MS,
      });
      end({ kind: 'found', suspects: await this.#look(stream, reader), version });
    } catch (error) {
      const failure = asForebayError(error);
      // The stream goes on to where the table is, or somebody lets it go: looked for again after a while.
      const passes = concernsOneStream(failure) || failure.code === 'table_held';
      if (!passes && !attempt.signal.aborted) this.#failure = failure;
      end({ kind: 'failed', at: performance.now() });
    }
  }

  async #look(stream: RunningStream, reader: SnapshotReader): Promise<Suspects> {
    const { attempt } = this.#options;
    const plan =
      attempt.plans.get(stream.target.id) ?? (await attempt.destination.plan(stream.target));
    const { target } = stream;
    const sides = keySidesOf(
      {
        target,
        plan,
        reader,
        session: attempt.session,
        projects: needSnapshot(attempt.source).projects === true,
      },
      {
        slabs: attempt.slabs,
        memoryBytes: attempt.spec.memoryBytes / 16,
        seen: () => {},
        stop: AbortSignal.any([attempt.signal, attempt.control.drain]),
      },
    );
    const shape = { schema: target.schema, encodings: comparedEncodings(target, plan) };
    return await suspectsOf(sides, shape);
  }

  async #confirm(stream: RunningStream, { rows, more }: Suspects): Promise<void> {
    const gone: RowBatch[] = [];
    const { schema } = stream.target;
    const { slabs } = this.#options.attempt;
    const copies: RowCopies[] = [];
    try {
      for (const batch of rows.batches()) {
        const missing = await this.#missing(stream, batch, [...batch.ops.keys()]);
        if (missing.length === 0) continue;
        const shape = { schema, encodings: batch.encodings };
        const from = schema.columns.map((_, column) => column);
        const copy = new RowCopies({ shape, slabs, from, op: OP_DELETE });
        copies.push(copy);
        for (const row of missing) copy.add(batch, row);
        gone.push(...copy.batches());
      }
      await this.#remove(stream, gone, more);
    } catch (error) {
      const failure = asForebayError(error);
      if (failure.code === 'table_held') return;
      throw error;
    } finally {
      for (const copy of copies) copy.clear();
    }
  }

  /** Those of the rows whose keys the source does not have; the fewer of them it has, the fewer are asked for twice. */
  async #missing(
    stream: RunningStream,
    batch: RowBatch,
    rows: readonly number[],
  ): Promise<readonly number[]> {
    if (rows.length === 0) return [];
    const { attempt, changes } = this.#options;
    const found = await changes.lookup(stream.target.schema, batch, rows);
    if (found === null) return rows;
    const all = found.rowCount >= rows.length;
    attempt.slabs.give(found.slab);
    if (all) return [];
    const middle = rows.length >> 1;
    return [
      ...(await this.#missing(stream, batch, rows.slice(0, middle))),
      ...(await this.#missing(stream, batch, rows.slice(middle))),
    ];
  }

  async #remove(stream: RunningStream, batches: readonly RowBatch[], more: boolean): Promise<void> {
    const { attempt, commit } = this.#options;
    if (attempt.control.drain.aborted) return;
    const { session, progress } = attempt;
    const { id } = stream.target;
    const rows = batches.reduce((sum, { rowCount }) => sum + rowCount, 0);
    stream.surplus = more;
    if (rows === 0) {
      await session.save([toRecord(stream)], null);
      if (!more) tellEnd(attempt, stream);
      return;
    }
    const parts = batches.map((batch) => ({
      batch,
      actions: new Uint8Array(batch.rowCount).fill(ACT_DELETE),
    }));
    try {
      await session.begin();
      await session.write(stream.target, { kind: 'keyed', parts });
      await commit([toRecord(stream)]);
    } catch (error) {
      stream.surplus = true;
      await session.rollback();
      const failure = asForebayError(error);
      if (!concernsOneStream(failure)) throw failure;
      await pauseStream(attempt, stream, failure);
      return;
    }
    progress.count(id, { ...EMPTY_ACCOUNT, read: rows, applied: rows });
    const message = `${rows} rows were removed that the source does not have`;
    progress.emit({ event: 'notice', message }, id);
    if (!more) tellEnd(attempt, stream);
  }
}

async function suspectsOf(sides: StreamSides, shape: HashShape): Promise<Suspects> {
  const { key } = shape.schema;
  const rows = new RowCopies({
    shape,
    slabs: sides.slabs,
    from: shape.schema.columns.map((_, column) => key.indexOf(column)),
    op: OP_DELETE,
  });
  let more = false;
  const sink: DifferenceSink = {
    write: () => {},
    remove: (batch, row) => {
      if (rows.rows >= MOST_AT_ONCE) more = true;
      else rows.add(batch, row);
    },
    full: false,
    flush: () => Promise.resolve(),
  };
  try {
    await findDifferences(sides, await sumStreams(sides), sink);
    return { rows, more };
  } catch (error) {
    rows.clear();
    throw error;
  }
}
