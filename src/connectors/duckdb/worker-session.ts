/** One run of a pipeline, on a connection of its own; lives in the worker. */
import type { Checkpoint, PipelineState, StreamRecord } from '../../core/checkpoint.ts';
import type {
  EvolutionStep,
  SessionOptions,
  SnapshotReset,
  StreamTarget,
} from '../../core/connector.ts';
import type { RejectedRow } from '../../core/dead-letter.ts';
import { ForebayError } from '../../core/errors.ts';
import type { FoldedRows } from '../../core/folded-rows.ts';
import type { RowBatch } from '../../core/row-batch.ts';
import { ChunkLoad, type ChunkRequest } from './chunk-load.ts';
import type { Connection, Database } from './database.ts';
import { evolveTable } from './evolve.ts';
import {
  createMetadata,
  fence,
  fenced,
  forgetChunks,
  isSwapped,
  readEpoch,
  readState,
  recordChunk,
  saveRecords,
  takeEpoch,
} from './metadata.ts';
import {
  addOwnColumns,
  createTable,
  isView,
  loadTable,
  EXECUTION_COLUMN,
  OP_COLUMN,
  readColumns,
  REPLACE_SUFFIX,
} from './tables.ts';
import { quoteName, quoteTable } from './types.ts';
import { Workspace } from './workspace.ts';
import { type WriteAnswer, writeRows } from './write-rows.ts';

/** Of an append target: what snapshots brought. Of one with a key, what earlier executions read stays. */
function snapshotRows(
  { load, stamp, schema }: StreamTarget,
  removed: SnapshotReset['removeRows'],
): {
  readonly where: string;
  readonly parameters: readonly string[];
} {
  if (load !== 'append') return { where: '', parameters: [] };
  const read = ` WHERE ${OP_COLUMN} = 'r'`;
  const isOwn = removed === 'own' || schema.identity === 'key';
  if (stamp === undefined || !isOwn) return { where: read, parameters: [] };
  return { where: `${read} AND ${EXECUTION_COLUMN} = ?`, parameters: [stamp] };
}

export class WorkerSession {
  readonly epoch: number;
  readonly state: PipelineState;
  readonly workspace: Workspace;
  readonly #connection: Connection;
  readonly #pipeline: string;
  /** Tables that streams of this run have, by lower-case name. */
  readonly #owners = new Map<string, string>();
  #load: ChunkLoad | null = null;

  private constructor(connection: Connection, pipeline: string, state: PipelineState) {
    this.#connection = connection;
    this.#pipeline = pipeline;
    this.epoch = state.epoch;
    this.state = state;
    this.workspace = new Workspace(connection, pipeline);
  }

  static async open(
    database: Database,
    pipeline: string,
    options: SessionOptions,
  ): Promise<WorkerSession> {
    if (database.readOnly) {
      throw new ForebayError('read_only', {
        message: `The file ${database.path} cannot be written`,
      });
    }
    const connection = await database.connect();
    try {
      const state = await connection.transaction(async () => {
        await createMetadata(connection);
        await takeEpoch(connection, pipeline, options.run ?? null);
        return readState(connection, pipeline, options);
      });
      if (state === null) throw new TypeError('the epoch was not written');
      return new WorkerSession(connection, pipeline, state);
    } catch (error) {
      connection[Symbol.dispose]();
      throw error;
    }
  }

  async prepare(target: StreamTarget): Promise<void> {
    await this.save([], null, [target]);
  }

  async save(
    records: readonly StreamRecord[],
    checkpoint: Checkpoint | null,
    tables: readonly StreamTarget[],
  ): Promise<void> {
    await this.#fenced(async () => {
      for (const target of tables) await this.#prepareTable(target);
      await saveRecords(this.#connection, this.#pipeline, records);
    }, checkpoint);
    if (tables.length > 0) this.workspace.forget();
  }

  async resetSnapshot(
    target: StreamTarget,
    removeRows: SnapshotReset['removeRows'],
  ): Promise<void> {
    const { namespace, name } = target.table;
    await this.#fenced(async () => {
      await forgetChunks(this.#connection, this.#pipeline, target.id);
      if (target.load === 'replace') {
        const beside = `${name}${REPLACE_SUFFIX}`;
        await this.#connection.run(`DROP TABLE IF EXISTS ${quoteTable(namespace, beside)}`);
        await createTable(this.#connection, target, beside);
      } else if (
        removeRows !== false &&
        (await readColumns(this.#connection, namespace, name)).length > 0
      ) {
        const { where, parameters } = snapshotRows(target, removeRows);
        const sql = `DELETE FROM ${quoteTable(namespace, name)}${where}`;
        await this.#connection.run(sql, parameters);
      }
    });
    this.workspace.forget();
  }

  async finishSnapshot(target: StreamTarget): Promise<void> {
    if (target.load !== 'replace') return;
    const { namespace, name } = target.table;
    const beside = `${name}${REPLACE_SUFFIX}`;
    await this.#fenced(async () => {
      const made = (await readColumns(this.#connection, namespace, beside)).length > 0;
      if (!made && (await isSwapped(this.#connection, this.#pipeline, target.id))) return;
      if (!made) await createTable(this.#connection, target, beside);
      if (await isView(this.#connection, namespace, name)) {
        throw new ForebayError('destination_incompatible', {
          message: `${namespace}.${name} is a view`,
          stream: target.id,
        });
      }
      await this.#connection.run(`DROP TABLE IF EXISTS ${quoteTable(namespace, name)}`);
      await this.#connection.run(
        `ALTER TABLE ${quoteTable(namespace, beside)} RENAME TO ${quoteName(name)}`,
      );
      await this.#connection.run('DELETE FROM _forebay.swaps WHERE pipeline = ? AND stream = ?', [
        this.#pipeline,
        target.id,
      ]);
      await this.#connection.run('INSERT INTO _forebay.swaps VALUES (?, ?)', [
        this.#pipeline,
        target.id,
      ]);
    });
    this.workspace.forget();
  }

  async beginChunk(target: StreamTarget, chunk: ChunkRequest): Promise<void> {
    const name = await this.#loadName(target);
    await this.#connection.run('BEGIN TRANSACTION');
    this.#load = await ChunkLoad.open(this.workspace, target, name, chunk);
  }

  async chunkRows(batch: RowBatch): Promise<void> {
    await this.#openLoad().write(batch);
  }

  async rejectRows(target: StreamTarget, rows: readonly RejectedRow[]): Promise<void> {
    await this.workspace.takeOver(target, rows);
  }

  /** All rows are there, uncommitted. */
  async endChunk(): Promise<{
    read: number;
    applied: number;
    deadLettered: number;
    bytes: number;
  }> {
    const load = this.#openLoad();
    const result = await load.finish();
    await recordChunk(
      this.#connection,
      { pipeline: this.#pipeline, stream: load.stream, id: load.id },
      result.applied,
    );
    await fence(this.#connection, this.#pipeline, this.epoch, null);
    return result;
  }

  async commitChunk(): Promise<void> {
    await this.#connection.run('COMMIT');
    this.#load = null;
  }

  async abandonChunk(): Promise<void> {
    this.#load?.abandon();
    this.#load = null;
    await this.rollback();
  }

  async begin(): Promise<void> {
    await this.#connection.run('BEGIN TRANSACTION');
    this.workspace.begun();
  }

  async evolve(target: StreamTarget, steps: readonly EvolutionStep[]): Promise<void> {
    this.workspace.forget();
    await evolveTable(this.workspace, target, steps);
    this.workspace.forget();
  }

  async alter(
    target: StreamTarget,
    steps: readonly EvolutionStep[],
    records: readonly StreamRecord[],
  ): Promise<void> {
    this.workspace.forget();
    await this.#fenced(async () => {
      const name = await this.#usedName(target);
      const table = { ...target.table, name };
      await evolveTable(this.workspace, { ...target, table }, steps);
      await saveRecords(this.#connection, this.#pipeline, records);
    });
    this.workspace.forget();
  }

  async write(target: StreamTarget, rows: FoldedRows): Promise<WriteAnswer> {
    return writeRows(this.workspace, target, rows);
  }

  /** Everything but the COMMIT itself. */
  async beforeCommit(checkpoint: Checkpoint, records: readonly StreamRecord[]): Promise<void> {
    await this.workspace.placeLetters(checkpoint.position);
    await saveRecords(this.#connection, this.#pipeline, records);
    await fence(this.#connection, this.#pipeline, this.epoch, checkpoint);
  }

  async commit(): Promise<void> {
    await this.#connection.run('COMMIT');
  }

  async rollback(): Promise<void> {
    await this.#connection.rollback();
    this.workspace.forget();
  }

  async assertEpoch(): Promise<void> {
    const epoch = await readEpoch(this.#connection, this.#pipeline);
    if (epoch !== this.epoch) throw fenced(this.#pipeline);
  }

  /** A conflict with a run that took over is not to be tried again. */
  async explain(error: unknown): Promise<unknown> {
    if (!(error instanceof ForebayError) || error.code !== 'conflict') return error;
    await this.rollback();
    const epoch = await readEpoch(this.#connection, this.#pipeline);
    return epoch === this.epoch ? error : fenced(this.#pipeline);
  }

  close(): void {
    this.#load?.abandon();
    this.#connection[Symbol.dispose]();
  }

  #openLoad(): ChunkLoad {
    if (this.#load === null) throw new ReferenceError('no chunk is being loaded');
    return this.#load;
  }

  async #fenced(work: () => Promise<void>, checkpoint: Checkpoint | null = null): Promise<void> {
    await this.#connection.transaction(async () => {
      await work();
      await fence(this.#connection, this.#pipeline, this.epoch, checkpoint);
    });
  }

  /** DuckDB's names know no case, so two streams may mean one table. */
  #own(target: StreamTarget): void {
    const table = `${target.table.namespace}.${target.table.name}`.toLowerCase();
    const owner = this.#owners.get(table);
    if (owner !== undefined && owner !== target.id) {
      throw new ForebayError('name_collision', {
        message: `${owner} and ${target.id} are one table in DuckDB, which does not tell case apart`,
        stream: target.id,
      });
    }
    this.#owners.set(table, target.id);
  }

  async #loadName(target: StreamTarget): Promise<string> {
    if (target.load !== 'replace') return target.table.name;
    const beside = `${target.table.name}${REPLACE_SUFFIX}`;
    await createTable(this.#connection, target, beside);
    return beside;
  }

  /** The table that the stream's rows go to at present. */
  async #usedName(target: StreamTarget): Promise<string> {
    const { name } = target.table;
    if (target.load !== 'replace') return name;
    const swapped = await isSwapped(this.#connection, this.#pipeline, target.id);
    return swapped ? name : `${name}${REPLACE_SUFFIX}`;
  }

  async #prepareTable(target: StreamTarget): Promise<void> {
    this.#own(target);
    const { namespace, name } = target.table;
    const used = await this.#usedName(target);
    const swapped = used === name;
    const exists = (await readColumns(this.#connection, namespace, used)).length > 0;
    if (!exists) await createTable(this.#connection, target, used);
    // What an earlier run began beside may lack columns that came since: it is made anew before it is loaded.
    if (!swapped) return;
    if (exists && !(await isView(this.#connection, namespace, used))) {
      await addOwnColumns(this.#connection, target);
    }
    await loadTable(this.#connection, target, used);
  }
}
