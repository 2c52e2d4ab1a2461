// The source of the example connector: snapshot and changes of a journal.
import { stat } from 'node:fs/promises';

import type { ChangeSink, TransactionMark } from '../../src/core/change-event.ts';
import type { Checkpoint } from '../../src/core/checkpoint.ts';
import type {
  CatalogStream,
  ChangeCapability,
  ChangeReader,
  ConnectorContext,
  Finding,
  Memberships,
  SnapshotChunk,
  SnapshotReader,
  Source,
} from '../../src/core/connector.ts';
import { ForebayError } from '../../src/core/errors.ts';
import type { Order, Position, SourceIdentity } from '../../src/core/position.ts';
import { OP_DELETE, OP_INSERT, OP_UPDATE } from '../../src/core/row-batch.ts';
import { SLAB_BYTES } from '../../src/core/slab.ts';
import { type StreamId, streamId, type StreamSchema } from '../../src/core/stream-schema.ts';
import type { CellEncoding } from '../../src/core/value.ts';
import { cellBytes, putRow, readBatches, type RowCells } from './example-cells.ts';
import {
  type Declaration,
  FAMILY,
  Journal,
  type JsonRow,
  NAMESPACE,
  printPosition,
  rowCells,
  schemaOf,
  type Transaction,
} from './example-journal.ts';

const POLL_MS = 50;
const OPS = { i: OP_INSERT, u: OP_UPDATE, d: OP_DELETE } as const;

/** The state of the journal's tables at one position; a transaction is visible if it ends there or before. */
class JournalSnapshot implements SnapshotReader {
  readonly visibility: string;
  readonly #journal: Journal;
  readonly #end: number;
  readonly #context: ConnectorContext;

  constructor(journal: Journal, end: number, context: ConnectorContext) {
    this.#journal = journal;
    this.#end = end;
    this.#context = context;
    this.visibility = printPosition(end);
  }

  chunks(): Promise<readonly SnapshotChunk[]> {
    return Promise.resolve([{ id: 'all', estimatedRows: 0, estimatedBytes: this.#end }]);
  }

  read(schema: StreamSchema, _chunk: SnapshotChunk, encodings: readonly CellEncoding[]) {
    return readBatches(this.#rows(schema, encodings), { schema, encodings }, this.#context.slabs);
  }

  async *#rows(schema: StreamSchema, encodings: readonly CellEncoding[]): AsyncGenerator<RowCells> {
    const rows = new Map<string, JsonRow>();
    for (const { end, content } of await this.#journal.lines(0)) {
      if (end > this.#end || !('changes' in content)) continue;
      for (const [op, table, row] of content.changes) {
        if (table !== schema.stream.name) continue;
        const key = JSON.stringify(
          schema.key.map((column) => row[schema.columns[column]?.name ?? '']),
        );
        if (op === 'd') rows.delete(key);
        else rows.set(key, row);
      }
    }
    for (const row of rows.values()) yield rowCells(schema, row, encodings);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

class JournalChangeReader implements ChangeReader {
  readonly #journal: Journal;
  readonly #sink: ChangeSink;
  readonly #encoding: CellEncoding;
  readonly #streams = new Map<StreamId, StreamSchema>();
  #position: number;
  #slab: Buffer;
  #end = 0;
  #wake = (): void => {};

  constructor(journal: Journal, options: Parameters<ChangeCapability['open']>[0]) {
    this.#journal = journal;
    this.#sink = options.sink;
    this.#encoding = options.encoding;
    this.#position = Number(options.position);
    this.include(options.streams);
    this.#slab = this.#sink.slabs.take();
    this.#sink.openSlab(this.#slab);
  }

  async run(signal: AbortSignal): Promise<void> {
    const stopped = whenAborted(signal);
    while (!signal.aborted) {
      for (const { end, content } of await this.#journal.lines(this.#position)) {
        if ('changes' in content) await this.#transaction(content, end, stopped);
        else this.#declared(content);
        // A transaction that was cut short by the end of the run is not committed: it will come again.
        if (signal.aborted) return;
        this.#position = end;
        if ('changes' in content) this.#sink.commit(printPosition(end));
      }
      this.#sink.idle(printPosition(this.#position));
      await Promise.race([stopped, this.#pause()]);
    }
  }

  /** Nothing is removed from a journal; a source with a log lets go of it here, and only here. */
  acknowledge(): void {}

  status(): { received: Position; logEnd: null } {
    return { received: printPosition(this.#position), logEnd: null };
  }

  poke(): void {
    this.#wake();
  }

  include(schemas: readonly StreamSchema[]): void {
    for (const schema of schemas) this.#streams.set(streamId(schema.stream), schema);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#sink.closeSlab(this.#slab);
    await Promise.resolve();
  }

  async #transaction(
    { at, changes }: Transaction,
    end: number,
    stopped: Promise<void>,
  ): Promise<void> {
    this.#sink.begin({
      order: printPosition(end),
      committedAtMicros: BigInt(Date.parse(at)) * 1000n,
      ref: printPosition(end),
    });
    for (const [op, table, row] of changes) {
      if (this.#sink.full) await Promise.race([stopped, this.#sink.drained()]);
      const schema = this.#streams.get(`${NAMESPACE}.${table}`);
      if (schema !== undefined) this.#row(schema, op, row);
    }
  }

  #row(schema: StreamSchema, op: keyof typeof OPS, row: JsonRow): void {
    const encodings = schema.columns.map(() => this.#encoding);
    const sent = rowCells(schema, row, encodings);
    // Of a row that is gone only the key is sent: the other cells are absent, which is not NULL.
    const cells =
      op === 'd' ? sent.map((cell, i) => (schema.key.includes(i) ? cell : undefined)) : sent;
    const bytes = cellBytes(cells);
    if (this.#end + bytes > this.#slab.length) this.#turn(bytes);
    // The event first: it may cut the piece, and what `rows` and `transaction` answer belongs to the new one.
    const event = this.#sink.nextEvent();
    const builder = this.#sink.rows(schema, encodings, this.#slab);
    const base = builder.beginRow(OPS[op], this.#sink.transaction, event);
    this.#end = putRow(builder, base, cells, this.#end);
    this.#sink.added(bytes);
  }

  #turn(bytes: number): void {
    this.#sink.closeSlab(this.#slab);
    this.#slab = this.#sink.slabs.take(Math.max(SLAB_BYTES, bytes));
    this.#sink.openSlab(this.#slab);
    this.#end = 0;
  }

  /** A table that is declared again has other columns from here on. */
  #declared(declared: Declaration): void {
    const known = this.#streams.get(`${NAMESPACE}.${declared.table}`);
    if (known === undefined) return;
    const schema = schemaOf(declared, known.version + 1);
    const shape = ({ columns }: StreamSchema) =>
      columns.map(({ name, nativeType }) => `${name} ${nativeType}`).join();
    if (shape(schema) === shape(known)) return;
    this.include([schema]);
    this.#sink.schema(schema);
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, POLL_MS);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

class JournalChanges implements ChangeCapability {
  readonly #journal: Journal;
  readonly #context: ConnectorContext;

  constructor(journal: Journal, context: ConnectorContext) {
    this.#journal = journal;
    this.#context = context;
  }

  comparePositions(a: Position, b: Position): Order {
    if (a === b) return 0;
    return a < b ? -1 : 1;
  }

  orderOf(position: Position): string {
    return position;
  }

  isVisible(visibility: string, transaction: TransactionMark): boolean {
    return transaction.ref <= visibility;
  }

  async create(pipeline: string, streams: readonly StreamSchema[]) {
    const end = await this.#journal.end();
    return {
      position: printPosition(end),
      identity: await this.#identity(),
      snapshot: new JournalSnapshot(this.#journal, end, this.#context),
      memberships: await this.memberships(pipeline, streams),
    };
  }

  async verify(_pipeline: string, checkpoint: Checkpoint): Promise<SourceIdentity> {
    const identity = await this.#identity();
    const lost = (why: string): ForebayError =>
      new ForebayError('position_lost', {
        message: `${this.#journal.path} does not go on from the checkpoint`,
        why,
      });
    if (checkpoint.source.facts['inode'] !== identity.facts['inode'])
      throw lost('it is another file');
    if ((await this.#journal.end()) < Number(checkpoint.position)) throw lost('it was cut');
    return identity;
  }

  open(options: Parameters<ChangeCapability['open']>[0]): Promise<ChangeReader> {
    return Promise.resolve(new JournalChangeReader(this.#journal, options));
  }

  encodings(): readonly CellEncoding[] {
    return ['binary', 'text'];
  }

  async currentPosition(): Promise<Position> {
    return printPosition(await this.#journal.end());
  }

  distanceBytes(from: Position, to: Position): number {
    return Number(to) - Number(from);
  }

  /** Every table is in the journal, so there is nothing to add, to miss, to leave behind or to drop. */
  memberships = (_: string, streams: readonly StreamSchema[]): Promise<Memberships> =>
    Promise.resolve(new Map(streams.map(({ stream }) => [streamId(stream), ''])));
  addStreams = this.memberships;
  leftovers = (): Promise<readonly []> => Promise.resolve([]);
  drop = (): Promise<void> => Promise.resolve();
  /** Asked only for updates with unchanged cells, which this source does not send. */
  lookup = (): Promise<null> => Promise.resolve(null);

  async #identity(): Promise<SourceIdentity> {
    const { ino } = await stat(this.#journal.path);
    return { system: FAMILY, facts: { inode: String(ino) } };
  }
}

export class JournalSource implements Source {
  readonly family = FAMILY;
  readonly changes: ChangeCapability;
  readonly snapshot: NonNullable<Source['snapshot']>;
  readonly #journal: Journal;

  constructor(path: string, context: ConnectorContext) {
    const journal = new Journal(path);
    this.#journal = journal;
    this.changes = new JournalChanges(journal, context);
    this.snapshot = {
      open: async () => new JournalSnapshot(journal, await journal.end(), context),
    };
  }

  check(): Promise<Finding[]> {
    return Promise.resolve([
      {
        step: 'file',
        severity: 'ok',
        message: 'the journal is there',
        fix: null,
        stream: null,
        error: null,
      },
    ]);
  }

  async discover(): Promise<readonly CatalogStream[]> {
    const tables = new Map<string, StreamSchema>();
    for (const { content } of await this.#journal.lines(0)) {
      if ('table' in content) tables.set(content.table, schemaOf(content, 1));
    }
    return [...tables.values()].map((schema) => ({
      schema,
      readable: true,
      estimatedRows: null,
      estimatedBytes: null,
    }));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}
