// The destination of the example connector: one JSON file, written anew by each commit and put in place by a
// rename. So data, checkpoint and records are one; it is slow on purpose, and small enough to read.
import {
  type Checkpoint,
  checkpointChecksum,
  type PipelineState,
  type StreamRecord,
} from '../../src/core/checkpoint.ts';
import type {
  ChunkData,
  ConnectorContext,
  Destination,
  DestinationSession,
  SnapshotReset,
  EvolutionStep,
  Finding,
  Leftover,
  LoadResult,
  SessionOptions,
  StreamTarget,
  TargetPlan,
  WriteResult,
} from '../../src/core/connector.ts';
import type { DeadLetterStore } from '../../src/core/dead-letter.ts';
import { ForebayError } from '../../src/core/errors.ts';
import { ACT_DELETE, ACT_PATCH, ACT_SKIP, type FoldedRows } from '../../src/core/folded-rows.ts';
import { batchValueBytes, type RowBatch } from '../../src/core/row-batch.ts';
import { streamId } from '../../src/core/stream-schema.ts';
import { type CellEncoding, printType } from '../../src/core/value.ts';
import {
  type Content,
  type Row,
  Store,
  type StoredPipeline,
  type Table,
  toState,
} from './example-store.ts';
import { cellText, encodeCell, isSupported, isUnchanged, readBatches } from './example-cells.ts';

/** Why a stream cannot land here; plan tells it, prepare refuses it. */
function refusal(target: StreamTarget): ForebayError | null {
  const columns = target.schema.columns.filter(({ type }) => !isSupported(type));
  const problems = [
    ...columns.map(({ name, type }) => `column ${name} is ${printType(type)}`),
    ...(target.load === 'upsert' ? [] : [`load method ${target.load} is not there`]),
    ...(target.deletes === 'soft' ? ['soft deletes are not there'] : []),
    ...(target.schema.identity === 'key' ? [] : ['the stream has no key']),
  ];
  if (problems.length === 0) return null;
  return new ForebayError('destination_incompatible', {
    message: `stream ${target.id} does not fit`,
    why: problems.join('; '),
    stream: target.id,
  });
}

function keyOf(batch: RowBatch, row: number): string {
  return JSON.stringify(batch.schema.key.map((column) => cellText(batch, row, column)));
}

/** Columns that were sent, as texts. */
function rowOf(batch: RowBatch, row: number): Row {
  const values: Row = {};
  for (const [column, { name }] of batch.schema.columns.entries()) {
    const text = cellText(batch, row, column);
    if (text !== undefined) values[name] = text;
  }
  return values;
}

function applyRow(
  table: Table,
  batch: RowBatch,
  at: { row: number; action: number },
): 'done' | 'missing' {
  const key = keyOf(batch, at.row);
  if (at.action === ACT_DELETE) delete table[key];
  else if (at.action === ACT_PATCH && table[key] === undefined) return 'missing';
  else if (at.action === ACT_PATCH) table[key] = { ...table[key], ...rowOf(batch, at.row) };
  else table[key] = rowOf(batch, at.row);
  return 'done';
}

function rekey(table: Table, rows: Extract<FoldedRows, { kind: 'rekey' }>): void {
  const { batch, before, after } = rows;
  const [from, to] = [keyOf(batch, before), keyOf(batch, after)];
  // A row that stands under the new key already is newer than the one that moves.
  const kept = table[to] ?? table[from];
  delete table[from];
  const sent = rowOf(batch, after);
  const whole = !batch.schema.columns.some((_, column) => isUnchanged(batch, after, column));
  if (kept !== undefined || whole) table[to] = { ...kept, ...sent };
}

function setCheckpoint(mine: StoredPipeline, pipeline: string, checkpoint: Checkpoint): void {
  mine.checkpoint = checkpoint;
  mine.checksum = checkpointChecksum(pipeline, checkpoint);
}

class ExampleSession implements DestinationSession {
  readonly epoch: number;
  readonly state: PipelineState;
  readonly #store: Store;
  readonly #pipeline: string;
  readonly #context: ConnectorContext;
  #open: Content | null = null;

  constructor(
    store: Store,
    pipeline: string,
    opened: { state: PipelineState; context: ConnectorContext },
  ) {
    this.#store = store;
    this.#pipeline = pipeline;
    this.#context = opened.context;
    this.epoch = opened.state.epoch;
    this.state = opened.state;
  }

  prepare(target: StreamTarget): Promise<void> {
    return this.save([], null, [target]);
  }

  save(
    records: readonly StreamRecord[],
    checkpoint: Checkpoint | null,
    tables: readonly StreamTarget[] = [],
  ): Promise<void> {
    const problem = tables.map(refusal).find((found) => found !== null);
    if (problem !== undefined) return Promise.reject(problem);
    return this.#owned((content, mine) => {
      for (const target of tables) content.tables[streamId(target.table)] ??= {};
      for (const record of records) mine.streams[record.stream] = record;
      if (checkpoint !== null) setCheckpoint(mine, this.#pipeline, checkpoint);
    });
  }

  resetSnapshot(target: StreamTarget, options: SnapshotReset): Promise<void> {
    return this.#owned((content, mine) => {
      delete mine.chunks[target.id];
      if (options.removeRows) content.tables[streamId(target.table)] = {};
    });
  }

  async loadChunk(
    target: StreamTarget,
    chunk: { readonly id: string },
    data: ChunkData,
  ): Promise<LoadResult> {
    if (data.kind === 'frames')
      throw new ForebayError('internal', { message: 'no frame format was named' });
    const rows: Table = {};
    let read = 0;
    let bytes = 0;
    // The bytes are the engine's again once the next batch is asked for: everything is copied out before.
    for await (const batch of data.batches) {
      for (let row = 0; row < batch.rowCount; row += 1) rows[keyOf(batch, row)] = rowOf(batch, row);
      read += batch.rowCount;
      bytes += batchValueBytes(batch);
    }
    await this.#owned((content, mine) => {
      content.tables[streamId(target.table)] = {
        ...content.tables[streamId(target.table)],
        ...rows,
      };
      (mine.chunks[target.id] ??= []).push(chunk.id);
    });
    return { read, applied: read, deadLettered: 0, bytes };
  }

  finishSnapshot(): Promise<void> {
    return Promise.resolve();
  }

  async begin(): Promise<void> {
    this.#open = await this.#store.read();
  }

  evolve(target: StreamTarget, steps: readonly EvolutionStep[]): Promise<void> {
    const table = this.#transaction().tables[streamId(target.table)] ?? {};
    for (const step of steps) {
      const name = target.schema.columns[step.column]?.name ?? '';
      for (const row of Object.values(table)) {
        if (step.kind === 'add-column') row[name] ??= step.existing;
        if (step.kind !== 'rename-column' || !(step.from in row)) continue;
        row[step.to ?? name] = row[step.from] ?? null;
        delete row[step.from];
      }
    }
    return Promise.resolve();
  }

  write(target: StreamTarget, rows: FoldedRows): Promise<WriteResult> {
    const { tables } = this.#transaction();
    const table = (tables[streamId(target.table)] ??= {});
    const missing: { batch: RowBatch; rows: number[] }[] = [];
    let applied = 0;
    if (rows.kind === 'truncate') {
      if (target.deletes === 'hard') tables[streamId(target.table)] = {};
    } else if (rows.kind === 'rekey') {
      rekey(table, rows);
      applied = 1;
    } else if (rows.kind === 'keyed') {
      for (const { batch, actions } of rows.parts) {
        const absent: number[] = [];
        for (const [row, action] of actions.entries()) {
          if (action === ACT_SKIP || (action === ACT_DELETE && target.deletes === 'ignore'))
            continue;
          if (applyRow(table, batch, { row, action }) === 'missing') absent.push(row);
          else applied += 1;
        }
        if (absent.length > 0) missing.push({ batch, rows: absent });
      }
    } else
      return Promise.reject(
        new ForebayError('internal', { message: `${rows.kind} was refused by plan` }),
      );
    return Promise.resolve({ applied, deadLettered: 0, missing });
  }

  async commit(checkpoint: Checkpoint, records: readonly StreamRecord[]): Promise<void> {
    const content = this.#transaction();
    this.#open = null;
    const mine = await this.#mine(content);
    setCheckpoint(mine, this.#pipeline, checkpoint);
    for (const record of records) mine.streams[record.stream] = record;
    await this.#store.write(content);
  }

  rollback(): Promise<void> {
    this.#open = null;
    return Promise.resolve();
  }

  async assertEpoch(): Promise<void> {
    await this.#mine(await this.#store.read());
  }

  async *read(
    target: StreamTarget,
    encodings: readonly CellEncoding[],
  ): AsyncGenerator<RowBatch, void> {
    const { schema } = target;
    const table = (await this.#store.read()).tables[streamId(target.table)] ?? {};
    const rows = Object.values(table).map((row) =>
      schema.columns.map(({ name, type }, column) => {
        const text = row[name] ?? null;
        return text === null ? null : encodeCell(type, encodings[column] ?? 'text', text);
      }),
    );
    yield* readBatches(rows, { schema, encodings }, this.#context.slabs);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.rollback();
  }

  #transaction(): Content {
    if (this.#open === null)
      throw new ForebayError('internal', { message: 'no transaction is open' });
    return this.#open;
  }

  /**
   * The pipeline's entry, if the file on disk still carries our epoch. Two processes could both pass this check and
   * then rename: a real destination makes the check part of the commit (`UPDATE ... WHERE epoch = mine`).
   */
  async #mine(content: Content): Promise<StoredPipeline> {
    const mine = content.pipelines[this.#pipeline];
    const now = (await this.#store.read()).pipelines[this.#pipeline];
    if (mine !== undefined && now?.epoch === this.epoch) return mine;
    throw new ForebayError('fenced', {
      message: `another run of pipeline ${this.#pipeline} has taken over`,
    });
  }

  async #owned(act: (content: Content, mine: StoredPipeline) => void): Promise<void> {
    const content = await this.#store.read();
    act(content, await this.#mine(content));
    await this.#store.write(content);
  }
}

/** No row is ever refused here, so there is no letter. */
const NO_LETTERS: DeadLetterStore = {
  list: () => Promise.resolve([]),
  page: () => Promise.resolve({ letters: [], next: null }),
  get: () => Promise.resolve(null),
  replay: () => Promise.resolve([]),
  remove: () => Promise.resolve(0),
};

export class ExampleDestination implements Destination {
  readonly family = 'example';
  readonly delivery = 'effectively once';
  readonly parallelLoads = 1;
  readonly deadLetters = NO_LETTERS;
  readonly #store: Store;
  readonly #context: ConnectorContext;

  constructor(path: string, context: ConnectorContext) {
    this.#store = new Store(path);
    this.#context = context;
  }

  check(): Promise<Finding[]> {
    return Promise.resolve([]);
  }

  async plan(target: StreamTarget): Promise<TargetPlan> {
    const table = (await this.#store.read()).tables[streamId(target.table)];
    const error = refusal(target);
    const { message, fix } = error ?? { message: '', fix: '' };
    return {
      exists: table !== undefined,
      empty: Object.keys(table ?? {}).length === 0,
      columns: target.schema.columns.map(({ name }) => ({ name, type: 'text', encoding: 'text' })),
      frameFormat: null,
      findings:
        error === null
          ? []
          : [{ step: 'table', severity: 'error', message, fix, stream: target.id, error }],
    };
  }

  async readState(pipeline: string): Promise<PipelineState | null> {
    const stored = (await this.#store.read()).pipelines[pipeline];
    return stored === undefined ? null : toState(pipeline, stored);
  }

  async pipelines(): Promise<readonly string[]> {
    return Object.keys((await this.#store.read()).pipelines);
  }

  async openSession(
    pipeline: string,
    options: SessionOptions = { acceptDamaged: false },
  ): Promise<DestinationSession> {
    const content = await this.#store.read();
    const stored = (content.pipelines[pipeline] ??= {
      epoch: 0,
      checkpoint: null,
      checksum: null,
      streams: {},
      chunks: {},
    });
    const remembered = toState(pipeline, stored, options.acceptDamaged);
    stored.epoch += 1;
    stored.run = options.run ?? null;
    await this.#store.write(content);
    return new ExampleSession(this.#store, pipeline, {
      state: { ...remembered, epoch: stored.epoch, run: stored.run },
      context: this.#context,
    });
  }

  async leftovers(pipeline: string): Promise<readonly Leftover[]> {
    return (await this.readState(pipeline)) === null
      ? []
      : [{ kind: 'checkpoint', name: pipeline }];
  }

  async drop(pipeline: string): Promise<void> {
    const content = await this.#store.read();
    delete content.pipelines[pipeline];
    await this.#store.write(content);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}
