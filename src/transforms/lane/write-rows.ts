/** One write of the engine, transformed, in the destination's open transaction. */
import { eventPosition, type TransactionMark } from '../../core/change-event.ts';
import type { DestinationSession, WriteResult } from '../../core/connector.ts';
import type { RejectedRow } from '../../core/dead-letter.ts';
import {
  ACT_APPEND,
  ACT_DELETE,
  ACT_PATCH,
  ACT_SKIP,
  type FoldedPart,
  type FoldedRows,
} from '../../core/folded-rows.ts';
import { assertMoved, rowsHanded } from '../../core/moved.ts';
import { OP_BEFORE, OP_DELETE, OP_TRUNCATE, type RowBatch } from '../../core/row-batch.ts';
import { Growth } from './growth.ts';
import { LaneRows } from './lane-rows.ts';
import type { LaneStream } from './lane-stream.ts';
import type { LaneOptions } from './options.ts';
import { type LaneRow, type Piece, pieces, rejection, type Result } from './pieces.ts';
import { keyCells, type SourceRow } from './render.ts';

export interface LaneWriteParts {
  readonly stream: LaneStream;
  readonly options: LaneOptions;
  readonly inner: DestinationSession;
  /** Writes rejected rows to wherever they go, in the open transaction. */
  readonly reject: (rows: readonly RejectedRow[]) => Promise<void>;
}

type Kind = Extract<FoldedRows, { readonly parts: readonly FoldedPart[] }>['kind'];

export class LaneWrite {
  readonly #parts: LaneWriteParts;
  readonly #transactions: readonly TransactionMark[];
  readonly #kind: Kind;
  readonly #missing = new Map<RowBatch, number[]>();
  #out: LaneRows;
  /** Rows that the engine wants accounted for. */
  readonly #handed: number;
  #filtered = 0;
  #deadLettered = 0;

  private constructor(parts: LaneWriteParts, kind: Kind, rows: FoldedRows) {
    this.#parts = parts;
    this.#kind = kind;
    this.#transactions = rows.kind === 'append' ? rows.transactions : [];
    this.#handed = rowsHanded(rows);
    this.#out = this.#newRows();
  }

  static async write(parts: LaneWriteParts, rows: FoldedRows): Promise<WriteResult> {
    const { stream, inner } = parts;
    switch (rows.kind) {
      case 'truncate':
        return inner.write(stream.target, rows);
      case 'rekey':
        return new LaneWrite(parts, 'keyed', rows).#moveAway(rows);
      case 'keyed':
      case 'multiset':
      case 'append':
        return new LaneWrite(parts, rows.kind, rows).#run(rows.parts);
    }
  }

  async #run(parts: readonly FoldedPart[]): Promise<WriteResult> {
    const { stream, options } = this.#parts;
    try {
      for await (const piece of pieces(this.#rows(parts), stream, options))
        await this.#piece(piece);
      return await this.#finish();
    } finally {
      this.#out.clear();
    }
  }

  *#rows(parts: readonly FoldedPart[]): Generator<LaneRow, void> {
    for (const { batch, actions } of parts) {
      for (let row = 0; row < batch.rowCount; row += 1) {
        const action = actions[row] ?? ACT_SKIP;
        const op = batch.ops[row] ?? 0;
        if (action === ACT_SKIP || (action === ACT_APPEND && op === OP_BEFORE)) continue;
        // Without the values that it left as they were it cannot be transformed: the source has them.
        if (action === ACT_PATCH) this.#isMissing({ batch, row });
        else yield { batch, row, action, op, passes: this.#passes(action, op) };
      }
    }
  }

  /** What is told by its key alone, or without a row, is not transformed. Without a key the whole row tells what goes. */
  #passes(action: number, op: number): boolean {
    if (op === OP_TRUNCATE) return true;
    const removes = action === ACT_DELETE || (action === ACT_APPEND && op === OP_DELETE);
    return removes && this.#parts.stream.shape.key !== 'none';
  }

  #isMissing({ batch, row }: SourceRow): void {
    const rows = this.#missing.get(batch) ?? [];
    rows.push(row);
    this.#missing.set(batch, rows);
  }

  /** The row goes from its old key; as it is now it is read from the source, under the new one. */
  async #moveAway({
    batch,
    before,
    after,
  }: Extract<FoldedRows, { readonly kind: 'rekey' }>): Promise<WriteResult> {
    try {
      this.#remove({ batch, row: before });
      this.#isMissing({ batch, row: after });
      return await this.#finish();
    } finally {
      this.#out.clear();
    }
  }

  #remove(source: SourceRow): void {
    const cells = keyCells(this.#parts.stream.binding, source);
    this.#out.add(source, cells, { op: OP_DELETE, action: ACT_DELETE });
  }

  async #piece(piece: Piece): Promise<void> {
    const { stream } = this.#parts;
    for (;;) {
      const growth = new Growth();
      const results = piece.results(growth);
      if (growth.isEmpty) {
        await this.#take(piece, results);
        return;
      }
      await this.#flush();
      const steps = stream.grow(growth);
      await this.#parts.inner.evolve(stream.target, steps);
      this.#out = this.#newRows();
    }
  }

  async #take(piece: Piece, results: readonly Result[]): Promise<void> {
    const rejected: RejectedRow[] = [];
    for (const [index, row] of piece.rows.entries()) {
      const letter = this.#result(row, results[index] ?? { kind: 'grows' });
      if (letter !== null) rejected.push(letter);
    }
    this.#deadLettered += rejected.length;
    await this.#parts.reject(rejected);
  }

  #result(row: LaneRow, result: Result): RejectedRow | null {
    const { stream, options } = this.#parts;
    const { op, action } = row;
    switch (result.kind) {
      case 'passed':
        this.#out.add(row, op === OP_TRUNCATE ? [] : keyCells(stream.binding, row), { op, action });
        return null;
      case 'cells':
        this.#out.add(row, result.cells, { op, action });
        return null;
      case 'filtered':
        // It may be there from before, when it was not filtered.
        if (this.#kind === 'keyed') this.#remove(row);
        this.#leaveOut(row);
        return null;
      case 'failed': {
        // It failed when it was to be added, so there is nothing to remove.
        const removes = this.#kind === 'multiset' && action === ACT_DELETE;
        const letter = removes
          ? null
          : rejection(stream, options, { row, failure: result.failure }, this.#place(row));
        if (letter === null) this.#leaveOut(row);
        return letter;
      }
      case 'grows':
        throw new RangeError('the table has grown, and lacks something still');
    }
  }

  /** Old identities are no events. */
  #leaveOut({ op }: LaneRow): void {
    if (op !== OP_BEFORE) this.#filtered += 1;
  }

  #place({ batch, row }: SourceRow): Pick<RejectedRow, 'position' | 'committedAtMicros'> {
    const mark = this.#transactions[batch.transactions[row] ?? 0];
    if (mark === undefined) return { position: null, committedAtMicros: null };
    return {
      position: eventPosition(mark, batch.events[row] ?? 0),
      committedAtMicros: mark.committedAtMicros,
    };
  }

  #newRows(): LaneRows {
    const { options, stream } = this.#parts;
    return new LaneRows(options.context.slabs, stream.target.schema);
  }

  async #flush(): Promise<void> {
    if (this.#out.isEmpty) return;
    const { inner, stream } = this.#parts;
    const parts = this.#out.parts();
    const rows: FoldedRows =
      this.#kind === 'append'
        ? { kind: 'append', parts, transactions: this.#transactions }
        : { kind: this.#kind, parts };
    const result = await inner.write(stream.target, rows);
    assertMoved(stream.target.id, rowsHanded(rows), result);
    this.#deadLettered += result.deadLettered;
    this.#out.clear();
  }

  async #finish(): Promise<WriteResult> {
    await this.#flush();
    const missing = [...this.#missing.values()].reduce((sum, rows) => sum + rows.length, 0);
    return {
      // A row that is filtered, or that moves, may have taken another one away: that is no row of its own.
      applied: this.#handed - this.#filtered - this.#deadLettered - missing,
      filtered: this.#filtered,
      deadLettered: this.#deadLettered,
      missing: [...this.#missing].map(([batch, rows]) => ({ batch, rows })),
    };
  }
}
