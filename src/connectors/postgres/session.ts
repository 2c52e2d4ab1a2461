/** One run of a pipeline at a PostgreSQL destination. */
import {
  batchId,
  type Checkpoint,
  type PipelineState,
  type StreamRecord,
} from '../../core/checkpoint.ts';
import type {
  ChunkData,
  ConnectorContext,
  DestinationSession,
  SnapshotReset,
  EvolutionStep,
  LoadResult,
  StreamTarget,
  WriteResult,
} from '../../core/connector.ts';
import type { RejectedRow } from '../../core/dead-letter.ts';
import { ForebayError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import type { FoldedRows } from '../../core/folded-rows.ts';
import { assertMoved } from '../../core/moved.ts';
import type { RowBatch } from '../../core/row-batch.ts';
import type { StreamId, StreamName } from '../../core/stream-schema.ts';
import type { CellEncoding } from '../../core/value.ts';
import { HISTORY_MS, recordHistory } from './checkpoint-history.ts';
import { applyFolded } from './apply-folded.ts';
import { DeadLetterWriter, type OpenLetters } from './dead-letters.ts';
import { HeldLetters } from './held-letters.ts';
import type { Lane, WriteContext } from './lane.ts';
import {
  beginTransaction,
  commitTransaction,
  type LanePool,
  rollbackTransaction,
} from './lane-pool.ts';
import { type ChunkLoad, loadChunkData } from './load-chunk.ts';
import {
  assertEpoch,
  holdEpoch,
  recordChunk,
  type RunIdentity,
  writeCheckpoint,
  writeStreams,
} from './metadata.ts';
import { readRows } from './read-rows.ts';
import { buildingName, markBuilding, swapIn } from './replace-table.ts';
import { quoteName } from './sql.ts';
import { createTable, ensureKey, evolveTable, prepareTable } from './table-ddl.ts';
import { beginAnew, forgetChunks, removeSnapshot } from './reset-snapshot.ts';
import { KnownTables } from './tables.ts';

export interface SessionParts {
  readonly context: ConnectorContext;
  readonly run: RunIdentity;
  readonly state: PipelineState;
  readonly open: OpenLetters;
  /** Carries the change transactions. */
  readonly main: Lane;
  /** For everything that has a transaction of its own. */
  readonly pool: LanePool;
  /** Asks on a new connection whether a later run has begun. */
  readonly wasFenced: () => Promise<boolean>;
}

/** Used for tables that every load and index creation may want more memory than the server's default. */
const BUILD_MEMORY = "SET LOCAL maintenance_work_mem = '256MB'";

export class PostgresSession implements DestinationSession {
  readonly epoch: number;
  readonly state: PipelineState;
  readonly #parts: SessionParts;
  readonly #tables = new KnownTables();
  /** Streams whose replaced table took its place in this run. */
  readonly #swapped = new Set<string>();
  /** Keys under way or made for merging, by stream: chunks loaded at once share one. */
  readonly #keys = new Map<string, Promise<void>>();
  #position: string | null;
  #historyAt = Number.NEGATIVE_INFINITY;
  #transaction: { readonly unplaced: string[]; readonly held: HeldLetters } | null = null;

  constructor(parts: SessionParts) {
    this.#parts = parts;
    this.epoch = parts.run.epoch;
    this.state = parts.state;
    this.#position = parts.state.checkpoint?.position ?? null;
  }

  prepare(target: StreamTarget): Promise<void> {
    return this.#owned((lane) => this.#prepareOn(lane, target));
  }

  save(
    records: readonly StreamRecord[],
    checkpoint: Checkpoint | null,
    tables: readonly StreamTarget[] = [],
  ): Promise<void> {
    return this.#owned(async (lane) => {
      const { run } = this.#parts;
      for (const target of tables) await this.#prepareOn(lane, target);
      await writeStreams(lane.connection, run.pipeline, records);
      if (checkpoint === null) return;
      await writeCheckpoint(lane.connection, run, checkpoint, null);
      this.#position = checkpoint.position;
    });
  }

  resetSnapshot(target: StreamTarget, options: SnapshotReset): Promise<void> {
    return this.#owned(async (lane) => {
      const place = { lane, pipeline: this.#parts.run.pipeline, target };
      await forgetChunks(place);
      this.#swapped.delete(target.id);
      this.#keys.delete(target.id);
      if (target.load === 'replace') {
        await beginAnew(place);
        await this.#prepareOn(lane, target);
      } else if (options.removeRows !== false) await removeSnapshot(place, options.removeRows);
    });
  }

  loadChunk(target: StreamTarget, chunk: ChunkLoad, data: ChunkData): Promise<LoadResult> {
    const { run, open } = this.#parts;
    return this.#guarded(async () => {
      if (chunk.merge) await this.#keyForMerge(target);
      return this.#parts.pool.transaction(async (lane) => {
        const { connection } = lane;
        await assertEpoch(connection, run);
        const name = await this.#tableName(lane, target);
        const context = await this.#context(lane, target, name);
        const letters = new DeadLetterWriter({
          connection,
          pipeline: run.pipeline,
          target,
          open,
          held: null,
          position: chunk.id,
        });
        const result = await loadChunkData(context, { chunk, data }, letters);
        assertMoved(target.id, result.read, result);
        await recordChunk(connection, run.pipeline, {
          stream: target.id,
          id: chunk.id,
          rows: result.read,
        });
        await failpoint('snapshot.insideChunk');
        // Last, and only for a moment: a run that hangs while loading must not keep the next one out.
        await holdEpoch(connection, run);
        return result;
      });
    });
  }

  async finishSnapshot(target: StreamTarget): Promise<void> {
    this.#keys.delete(target.id);
    await this.#owned(async (lane) => {
      if (target.load === 'replace') await swapIn(lane.connection, target);
    });
    this.#swapped.add(target.id);
    await this.#ensureKey(target);
    await this.#guarded(() =>
      this.#parts.pool.use((lane) => lane.connection.execute(`ANALYZE ${quoteName(target.table)}`)),
    );
    this.#tables.forget();
  }

  async begin(): Promise<void> {
    if (this.#transaction !== null) {
      throw new ForebayError('internal', { message: 'a transaction is open already' });
    }
    await this.#guarded(() => beginTransaction(this.#parts.main));
    const { main, open } = this.#parts;
    this.#transaction = { unplaced: [], held: new HeldLetters(main, open) };
  }

  async evolve(target: StreamTarget, steps: readonly EvolutionStep[]): Promise<void> {
    await this.#guarded(async () => {
      // What waits is known under the names that the columns have until now.
      await this.#transaction?.held.settle(target.id);
      await evolveTable(this.#parts.main.connection, target, steps);
    });
    this.#tables.forget();
  }

  write(target: StreamTarget, rows: FoldedRows): Promise<WriteResult> {
    const { main, open } = this.#parts;
    return this.#guarded(async () => {
      await failpoint('destination.write');
      const context = await this.#context(main, target, await this.#tableName(main, target));
      const held = this.#transaction?.held ?? null;
      if (rows.kind === 'rekey') await held?.settle(target.id);
      if (rows.kind === 'truncate' && target.deletes !== 'ignore') await held?.emptied(target.id);
      const letters = this.#letters(target);
      const result = await applyFolded(context, rows, { letters, open });
      this.#transaction?.unplaced.push(...letters.unplaced);
      return result;
    });
  }

  async settle(): Promise<ReadonlyMap<StreamId, number>> {
    const held = this.#transaction?.held;
    if (held === undefined) return new Map();
    await this.#guarded(() => held.settle());
    return held.takeSettled();
  }

  reject(target: StreamTarget, rows: readonly RejectedRow[]): Promise<void> {
    return this.#guarded(async () => {
      const letters = this.#letters(target);
      await letters.takeOver(rows);
      this.#transaction?.unplaced.push(...letters.unplaced);
    });
  }

  alter(
    target: StreamTarget,
    steps: readonly EvolutionStep[],
    records: readonly StreamRecord[],
  ): Promise<void> {
    return this.#owned(async ({ connection }) => {
      const name = await this.#tableName({ connection }, target);
      await evolveTable(connection, { ...target, table: name }, steps);
      await writeStreams(connection, this.#parts.run.pipeline, records);
    });
  }

  async commit(checkpoint: Checkpoint, records: readonly StreamRecord[]): Promise<void> {
    const { main, run } = this.#parts;
    const unplaced = this.#transaction?.unplaced ?? [];
    try {
      await this.#guarded(async () => {
        const batch = batchId(run.pipeline, this.#position ?? '', checkpoint.position);
        await writeCheckpoint(main.connection, run, checkpoint, batch);
        await this.#remember(checkpoint);
        await writeStreams(main.connection, run.pipeline, records);
        if (unplaced.length > 0) {
          await main.connection.query(
            `UPDATE _forebay.dead_letters SET position = $1
             WHERE id IN (SELECT jsonb_array_elements_text($2::jsonb))`,
            [checkpoint.position, JSON.stringify(unplaced)],
          );
        }
        await failpoint('destination.commit');
        await commitTransaction(main);
      });
    } catch (error) {
      await this.rollback();
      throw error;
    }
    this.#transaction = null;
    this.#position = checkpoint.position;
  }

  async #remember(checkpoint: Checkpoint): Promise<void> {
    const now = performance.now();
    if (now - this.#historyAt < HISTORY_MS) return;
    await recordHistory(this.#parts.main.connection, this.#parts.run, checkpoint);
    this.#historyAt = now;
  }

  async rollback(): Promise<void> {
    if (this.#transaction === null) return;
    this.#transaction = null;
    this.#tables.forget();
    await rollbackTransaction(this.#parts.main);
  }

  async assertEpoch(): Promise<void> {
    await this.#guarded(() =>
      this.#parts.pool.use((lane) => assertEpoch(lane.connection, this.#parts.run)),
    );
  }

  async *read(
    target: StreamTarget,
    encodings: readonly CellEncoding[],
  ): AsyncGenerator<RowBatch, void> {
    const { context } = this.#parts;
    await using reading = await this.#parts.pool.borrow();
    yield* readRows(reading.lane.connection, target, { encodings, slabs: context.slabs });
  }

  /** An open transaction ends with its connection, also where the server no longer answers. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#transaction = null;
    await this.#parts.main.connection[Symbol.asyncDispose]();
    await this.#parts.pool[Symbol.asyncDispose]();
  }

  /** A transaction of its own that commits only in this epoch. */
  #owned(act: (lane: Lane) => Promise<void>): Promise<void> {
    return this.#guarded(async () => {
      await this.#parts.pool.transaction(async (lane) => {
        await act(lane);
        await holdEpoch(lane.connection, this.#parts.run);
      });
      this.#tables.forget();
    });
  }

  async #prepareOn(lane: Lane, target: StreamTarget): Promise<void> {
    const { context, run } = this.#parts;
    const plan = await prepareTable(lane, target, context);
    if (!(await this.#isBuilding(lane, target))) return;
    const name = buildingName(target.table);
    await createTable(lane, { target, plan, name }, context);
    await markBuilding(lane.connection, name, run.pipeline);
  }

  /** What breaks because a later run ended our connections is told as what it is. */
  async #guarded<T>(act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (error) {
      if (
        error instanceof ForebayError &&
        error.class === 'transient' &&
        (await this.#parts.wasFenced())
      ) {
        throw new ForebayError('fenced', {
          message: `another run of pipeline ${this.#parts.run.pipeline} took over`,
          cause: error,
        });
      }
      throw error;
    }
  }

  /** For letters of the open transaction, whose position is that of its commit. */
  #letters(target: StreamTarget): DeadLetterWriter {
    const { main, run, open } = this.#parts;
    const { connection } = main;
    return new DeadLetterWriter({
      connection,
      pipeline: run.pipeline,
      target,
      open,
      held: this.#transaction?.held ?? null,
      position: null,
    });
  }

  #keyForMerge(target: StreamTarget): Promise<void> {
    const known = this.#keys.get(target.id);
    if (known !== undefined) return known;
    const made = this.#ensureKey(target);
    this.#keys.set(target.id, made);
    made.catch(() => this.#keys.delete(target.id));
    return made;
  }

  async #ensureKey(target: StreamTarget): Promise<void> {
    await this.#owned(async (lane) => {
      await lane.connection.execute(BUILD_MEMORY);
      await ensureKey(lane.connection, target, await this.#tableName(lane, target));
    });
  }

  async #context(lane: Lane, target: StreamTarget, name: StreamName): Promise<WriteContext> {
    const table = await this.#tables.find(lane.connection, target, name);
    return {
      lane,
      pipeline: this.#parts.run.pipeline,
      target,
      table,
      pace: this.#tables.pace(name),
    };
  }

  /** Where the stream's rows go at present. */
  async #tableName(lane: Pick<Lane, 'connection'>, target: StreamTarget): Promise<StreamName> {
    if (target.load !== 'replace' || this.#swapped.has(target.id)) return target.table;
    if (await this.#isBuilding(lane, target)) return buildingName(target.table);
    this.#swapped.add(target.id);
    return target.table;
  }

  /**
   * Whether a `replace` stream's rows go to the table beside. Chunks that are recorded without that table mean that
   * it has taken its place already: both happen in one transaction.
   */
  async #isBuilding(lane: Pick<Lane, 'connection'>, target: StreamTarget): Promise<boolean> {
    if (target.load !== 'replace' || this.#swapped.has(target.id)) return false;
    const { rows } = await lane.connection.query(
      `SELECT (to_regclass($3) IS NOT NULL OR NOT EXISTS (
           SELECT FROM _forebay.snapshot_chunks WHERE pipeline = $1 AND stream = $2))
         AND NOT EXISTS (
           SELECT FROM _forebay.streams WHERE pipeline = $1 AND stream = $2 AND state = 'streaming')`,
      [this.#parts.run.pipeline, target.id, quoteName(buildingName(target.table))],
    );
    return rows[0]?.[0] === 't';
  }
}
