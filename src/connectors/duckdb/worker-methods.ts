/** What the main thread may ask of the worker. Arguments and answers are plain data. */
import { availableParallelism } from 'node:os';
import type { Checkpoint, PipelineState, StreamRecord } from '../../core/checkpoint.ts';
import type {
  EvolutionStep,
  LoadResult,
  SessionOptions,
  SnapshotReset,
  StreamTarget,
} from '../../core/connector.ts';
import type { DeadLetter, LetterPage, LetterRange, RejectedRow } from '../../core/dead-letter.ts';
import type { FoldedRows } from '../../core/folded-rows.ts';
import type { RowBatch } from '../../core/row-batch.ts';
import type { StreamSchema } from '../../core/stream-schema.ts';
import type { CellEncoding } from '../../core/value.ts';
import type { WarehouseParameter, WarehouseRow } from '../../core/warehouse.ts';
import type { ChunkRequest } from './chunk-load.ts';
import { type Connection, Database } from './database.ts';
import {
  getLetter,
  letterPage,
  listLetters,
  orderLetters,
  removeLetters,
  type Replacement,
  replayLetter,
} from './dead-letters.ts';
import { type DiscoveredTable, discoverTables } from './discover.ts';
import { dropPipeline, listPipelines, readState } from './metadata.ts';
import { planTable, type TableFacts } from './plan.ts';
import { type RangeRequest, ReadingRoom } from './reading.ts';
import type { CursorAnswer } from './row-cursor.ts';
import { WorkerSession } from './worker-session.ts';
import { WarehouseSessions } from './warehouse-sessions.ts';
import type { Notice } from './workspace.ts';
import type { WriteAnswer } from './write-rows.ts';

export interface OpenRequest {
  readonly path: string;
  readonly memoryBytes: number;
  readonly readOnly: boolean;
}

export interface OpenedSession {
  readonly id: number;
  readonly epoch: number;
  readonly state: PipelineState;
}

/** Buffers arrive as plain byte arrays over the same shared memory. */
function revive(batch: RowBatch): RowBatch {
  return { ...batch, slab: asBuffer(batch.slab) };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function reviveRows(rows: FoldedRows): FoldedRows {
  switch (rows.kind) {
    case 'truncate':
      return rows;
    case 'rekey':
      return { ...rows, batch: revive(rows.batch) };
    default:
      return { ...rows, parts: rows.parts.map((part) => ({ ...part, batch: revive(part.batch) })) };
  }
}

interface Opened {
  readonly database: Database;
  /** For everything outside sessions; one call at a time. */
  readonly side: Connection;
  readonly reading: ReadingRoom;
  readonly warehouses: WarehouseSessions;
}

export class WorkerMethods {
  readonly #sessions = new Map<number, WorkerSession>();
  #opened: Opened | null = null;
  #ids = 0;
  #sideTurn: Promise<unknown> = Promise.resolve();

  async open({ path, memoryBytes, readOnly }: OpenRequest): Promise<void> {
    // The main thread and, often, the source need a processor too.
    const threads = Math.max(1, availableParallelism() - 1);
    const database = await Database.open({ path, memoryBytes, threads, readOnly });
    const side = await database.connect();
    this.#opened = {
      database,
      side,
      reading: new ReadingRoom(database),
      warehouses: new WarehouseSessions(database),
    };
  }

  async close(): Promise<void> {
    for (const session of this.#sessions.values()) session.close();
    this.#sessions.clear();
    const opened = this.#opened;
    this.#opened = null;
    await opened?.warehouses.closeAll();
    opened?.side[Symbol.dispose]();
    opened?.database[Symbol.dispose]();
  }

  takeNotices(): Notice[] {
    return [...this.#sessions.values()].flatMap((session) => session.workspace.takeNotices());
  }

  plan(target: StreamTarget): Promise<TableFacts> {
    return this.#aside((side) => planTable(side, target));
  }

  readState(pipeline: string): Promise<PipelineState | null> {
    return this.#aside((side) => readState(side, pipeline));
  }

  pipelines(): Promise<string[]> {
    return this.#aside(listPipelines);
  }

  drop(pipeline: string): Promise<void> {
    return this.#aside((side) => dropPipeline(side, pipeline));
  }

  discover(): Promise<DiscoveredTable[]> {
    return this.#aside(discoverTables);
  }

  listLetters(pipeline: string | null): Promise<Omit<DeadLetter, 'payload'>[]> {
    return this.#aside((side) => listLetters(side, pipeline));
  }

  letterPage(range: LetterRange): Promise<LetterPage> {
    return this.#aside((side) => letterPage(side, range));
  }

  getLetter(id: string): Promise<DeadLetter | null> {
    return this.#aside((side) => getLetter(side, id));
  }

  removeLetters(ids: readonly string[]): Promise<number> {
    return this.#aside((side) => removeLetters(side, ids));
  }

  orderLetters(ids: readonly string[]): Promise<string[]> {
    return this.#aside((side) => orderLetters(side, ids));
  }

  replayLetter(id: string, replacement: Replacement | null): Promise<string | null> {
    return this.#aside((side) => replayLetter(side, id, replacement));
  }

  async openSession(pipeline: string, options: SessionOptions): Promise<OpenedSession> {
    const session = await WorkerSession.open(this.#database().database, pipeline, options);
    this.#ids += 1;
    this.#sessions.set(this.#ids, session);
    return { id: this.#ids, epoch: session.epoch, state: session.state };
  }

  async closeSession(id: number): Promise<void> {
    const session = this.#sessions.get(id);
    this.#sessions.delete(id);
    await session?.abandonChunk();
    session?.close();
  }

  prepare(id: number, target: StreamTarget): Promise<void> {
    return this.#in(id, (session) => session.prepare(target));
  }

  save(id: number, ...args: Parameters<WorkerSession['save']>): Promise<void> {
    return this.#in(id, (session) => session.save(...args));
  }

  resetSnapshot(
    id: number,
    target: StreamTarget,
    removeRows: SnapshotReset['removeRows'],
  ): Promise<void> {
    return this.#in(id, (session) => session.resetSnapshot(target, removeRows));
  }

  finishSnapshot(id: number, target: StreamTarget): Promise<void> {
    return this.#in(id, (session) => session.finishSnapshot(target));
  }

  beginChunk(id: number, target: StreamTarget, chunk: ChunkRequest): Promise<void> {
    return this.#in(id, (session) => session.beginChunk(target, chunk));
  }

  chunkRows(id: number, batch: RowBatch): Promise<void> {
    return this.#in(id, (session) => session.chunkRows(revive(batch)));
  }

  rejectRows(id: number, target: StreamTarget, rows: readonly RejectedRow[]): Promise<void> {
    return this.#in(id, (session) => session.rejectRows(target, rows));
  }

  alter(id: number, ...args: Parameters<WorkerSession['alter']>): Promise<void> {
    return this.#in(id, (session) => session.alter(...args));
  }

  endChunk(id: number): Promise<LoadResult> {
    return this.#in(id, (session) => session.endChunk());
  }

  commitChunk(id: number): Promise<void> {
    return this.#in(id, (session) => session.commitChunk());
  }

  abandonChunk(id: number): Promise<void> {
    return this.#in(id, (session) => session.abandonChunk());
  }

  begin(id: number): Promise<void> {
    return this.#in(id, (session) => session.begin());
  }

  evolve(id: number, target: StreamTarget, steps: readonly EvolutionStep[]): Promise<void> {
    return this.#in(id, (session) => session.evolve(target, steps));
  }

  write(id: number, target: StreamTarget, rows: FoldedRows): Promise<WriteAnswer> {
    return this.#in(id, (session) => session.write(target, reviveRows(rows)));
  }

  beforeCommit(
    id: number,
    checkpoint: Checkpoint,
    records: readonly StreamRecord[],
  ): Promise<void> {
    return this.#in(id, (session) => session.beforeCommit(checkpoint, records));
  }

  commit(id: number): Promise<void> {
    return this.#in(id, (session) => session.commit());
  }

  rollback(id: number): Promise<void> {
    return this.#in(id, (session) => session.rollback());
  }

  assertEpoch(id: number): Promise<void> {
    return this.#in(id, (session) => session.assertEpoch());
  }

  openSnapshot(parallel: number): Promise<number> {
    return this.#database().reading.openSnapshot(parallel);
  }

  closeSnapshot(id: number): Promise<void> {
    return this.#database().reading.closeSnapshot(id);
  }

  rowIdEnd(snapshot: number, schema: StreamSchema): Promise<number> {
    return this.#database().reading.rowIdEnd(snapshot, schema);
  }

  openRange(request: RangeRequest): Promise<number> {
    return this.#database().reading.openRange(request);
  }

  openTable(target: StreamTarget, encodings: readonly CellEncoding[]): Promise<number> {
    return this.#database().reading.openTable(target, encodings);
  }

  nextRows(cursor: number, slab: Uint8Array): Promise<CursorAnswer> {
    return this.#database().reading.next(cursor, asBuffer(slab));
  }

  closeCursor(cursor: number): Promise<void> {
    return this.#database().reading.closeCursor(cursor);
  }

  openWarehouse(): Promise<number> {
    return this.#database().warehouses.open();
  }

  warehouseQuery(
    id: number,
    sql: string,
    parameters: readonly WarehouseParameter[],
  ): Promise<WarehouseRow[]> {
    return this.#database().warehouses.query(id, sql, parameters);
  }

  warehouseExecute(
    id: number,
    sql: string,
    parameters: readonly WarehouseParameter[],
  ): Promise<number> {
    return this.#database().warehouses.execute(id, sql, parameters);
  }

  async closeWarehouse(id: number): Promise<void> {
    await this.#database().warehouses.close(id);
  }

  #database(): Opened {
    if (this.#opened === null) throw new ReferenceError('the database is not open');
    return this.#opened;
  }

  async #in<T>(id: number, work: (session: WorkerSession) => Promise<T>): Promise<T> {
    const session = this.#sessions.get(id);
    if (session === undefined) throw new ReferenceError('the session is closed');
    try {
      return await work(session);
    } catch (error) {
      throw await session.explain(error);
    }
  }

  #aside<T>(work: (side: Connection) => Promise<T>): Promise<T> {
    const { side } = this.#database();
    const turn = this.#sideTurn.then(() => work(side));
    this.#sideTurn = turn.catch(() => {});
    return turn;
  }
}
