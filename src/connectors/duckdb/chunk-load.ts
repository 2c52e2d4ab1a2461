/** Loads one snapshot chunk, inside the transaction that is open. */
import type { StreamTarget } from '../../core/connector.ts';
import { ACT_DELETE, ACT_INSERT } from '../../core/folded-rows.ts';
import { batchValueBytes, OP_DELETE, type RowBatch } from '../../core/row-batch.ts';
import { type AppendSlots, snapshotSlots } from './append-rows.ts';
import { mergeWholeRows, removeByKey } from './apply.ts';
import { breakableRules } from './guard.ts';
import { admitAdded, refuseForbidden, type StagedManner, writeApart } from './guarded-rows.ts';
import { RowSink } from './row-sink.ts';
import { Stage } from './stage.ts';
import { type BoundTable, directSlots } from './tables.ts';
import { quoteName } from './types.ts';
import type { Workspace } from './workspace.ts';
import { refuseNulls } from './write-rows.ts';

export interface ChunkRequest {
  readonly id: string;
  readonly merge: boolean;
  readonly order: string;
}

export interface ChunkCounts {
  readonly read: number;
  readonly applied: number;
  readonly deadLettered: number;
  readonly bytes: number;
}

const STAGE = 'forebay_chunk';

/** Row numbers 0, 1, 2, ...; shared, since most batches are of one size. */
let identity = new Int32Array(0);

function allRows(count: number): Int32Array {
  if (identity.length < count) {
    identity = new Int32Array(count);
    for (let row = 0; row < count; row += 1) identity[row] = row;
  }
  return identity.subarray(0, count);
}

export class ChunkLoad {
  readonly id: string;
  readonly stream: string;
  readonly #workspace: Workspace;
  readonly #current: () => BoundTable;
  readonly #sink: RowSink;
  /** Null if rows go straight into the table. */
  readonly #stage: Stage | null;
  readonly #merge: boolean;
  readonly #manner: StagedManner;
  readonly #guarded: boolean;
  readonly #position: AppendSlots['position'];
  #removes = false;
  #read = 0;
  #applied = 0;
  #bytes = 0;

  private constructor(
    workspace: Workspace,
    current: () => BoundTable,
    stage: Stage | null,
    chunk: ChunkRequest & { readonly manner: StagedManner; readonly guarded: boolean },
  ) {
    this.#manner = chunk.manner;
    this.#guarded = chunk.guarded;
    this.id = chunk.id;
    this.stream = current().target.id;
    this.#workspace = workspace;
    this.#current = current;
    this.#stage = stage;
    this.#merge = chunk.merge && current().target.schema.key.length > 0;
    const { slots, position } = snapshotSlots(chunk.order, current().target);
    this.#position = position;
    const table =
      stage === null
        ? { ref: current().ref, slots: () => directSlots(current(), slots) }
        : stage.sink(current);
    this.#sink = new RowSink(workspace.connection, table, (batch, rejects) =>
      workspace.mend(current(), batch, rejects, { stage, position }),
    );
  }

  static async open(
    workspace: Workspace,
    target: StreamTarget,
    name: string,
    chunk: ChunkRequest,
  ): Promise<ChunkLoad> {
    const table = await workspace.table(target, name);
    const merging = chunk.merge && target.load !== 'append' && target.schema.key.length > 0;
    const keyed = target.load !== 'append' && target.schema.key.length > 0;
    const manner = keyed ? 'keyed' : 'added';
    const rules = breakableRules(table, await workspace.rules(table), manner);
    const guarded = rules.length > 0;
    const staged = target.load !== 'append' && (merging || !table.appendable || guarded);
    const stage = staged ? new Stage(STAGE) : null;
    if (stage !== null) {
      await stage.create(workspace.connection, table);
    }
    return new ChunkLoad(workspace, () => workspace.current(target, name), stage, {
      ...chunk,
      merge: merging,
      manner,
      guarded,
    });
  }

  async write(batch: RowBatch): Promise<void> {
    const removes = this.#merge && batch.ops.includes(OP_DELETE);
    this.#removes ||= removes;
    if (this.#stage !== null) {
      const act = removes
        ? (row: number) => (batch.ops[row] === OP_DELETE ? ACT_DELETE : ACT_INSERT)
        : () => ACT_INSERT;
      this.#stage.facts = { act, place: (row) => row, mask: () => 0 };
    }
    const rows = await refuseNulls(this.#workspace, this.#current(), {
      batch,
      rows: allRows(batch.rowCount),
      position: this.#position,
    });
    this.#read += batch.rowCount;
    this.#bytes += batchValueBytes(batch);
    if (this.#guarded) await this.#writeGuarded(batch, rows);
    else this.#applied += await this.#sink.write(batch, rows);
  }

  /** Rules look at the table, so each batch is there before the next one is held against them. */
  async #writeGuarded(batch: RowBatch, rows: Int32Array): Promise<void> {
    const position = this.#position;
    if (this.#stage === null) {
      const added = { batch, rows, position };
      const admitted = await admitAdded(this.#workspace, this.#current, this.#sink, added);
      this.#applied += await this.#sink.write(batch, admitted);
      this.#sink.close();
      return;
    }
    this.#applied += await this.#sink.write(batch, rows);
    this.#sink.close();
    const { connection } = this.#workspace;
    const table = this.#current();
    const staged = { connection, table, stage: this.#stage, masks: [], manner: this.#manner };
    this.#applied -= await refuseForbidden(this.#workspace, staged, (row) => ({
      batch,
      row,
      position: position(batch, row) ?? '',
    }));
    if ((await writeApart(this.#workspace, staged)) === null) await this.#bring();
    await this.#stage.create(connection, table);
  }

  async finish(): Promise<ChunkCounts> {
    if (!this.#guarded) await this.#bring();
    // What a chunk held would otherwise stay in memory until the next one.
    await this.#stage?.drop(this.#workspace.connection);
    return {
      read: this.#read,
      applied: this.#applied,
      deadLettered: this.#read - this.#applied,
      bytes: this.#bytes,
    };
  }

  abandon(): void {
    this.#sink.abandon();
  }

  /** Into the table, with what was staged. */
  async #bring(): Promise<void> {
    this.#sink.close();
    const table = this.#current();
    const { connection } = this.#workspace;
    if (this.#stage !== null && this.#merge) {
      const merged = { connection, table, stage: this.#stage };
      if (this.#removes) await removeByKey(merged, ACT_DELETE);
      await mergeWholeRows(merged);
    } else if (this.#stage !== null) {
      const names = table.columns.map((column) => quoteName(column.name)).join(', ');
      const staged = table.columns.map((_, index) => `c${index}`).join(', ');
      await connection.run(
        `INSERT INTO ${table.sql} (${names}) SELECT ${staged} FROM ${this.#stage.sql}`,
      );
    }
  }
}
