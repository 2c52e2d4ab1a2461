/** Change data capture by logical replication (PostgreSQL 13 and later). */
import type { TransactionMark } from '../../core/change-event.ts';
import type { Checkpoint } from '../../core/checkpoint.ts';
import type {
  ChangeCapability,
  ChangeReader,
  Leftover,
  Memberships,
} from '../../core/connector.ts';
import { ForebayError } from '../../core/errors.ts';
import type { Order, Position, SourceIdentity } from '../../core/position.ts';
import type { RowBatch } from '../../core/row-batch.ts';
import { streamId, type StreamSchema } from '../../core/stream-schema.ts';
import { type CellEncoding, hasBinaryForm } from '../../core/value.ts';
import type { PgConnection } from './connection.ts';
import { PostgresChangeReader } from './change-reader.ts';
import { FAMILY } from './discover.ts';
import { asTableHeld, SHORT_WAIT } from './held-table.ts';
import { lookupRows } from './lookup.ts';
import { compareLsn, orderOfLsn, parseLsn } from './lsn.ts';
import { checkPosition } from './position-check.ts';
import type { PostgresSystem } from './system.ts';
import { slotName, type SourceNames, sourceNames } from './slot-names.ts';
import * as slots from './slots.ts';
import { quoteIdent } from './sql.ts';
import { StreamRelations } from './stream-relations.ts';
import { isVisible, parseVisibility, type Visibility } from './visibility.ts';

const BINARY_SINCE = 140_000;
const STREAMING_SINCE = 140_000;
const POLL_MS = 50;
const WAIT_NOTICE_MS = 2000;
/** The server cuts names there. */
const MAX_APPLICATION_NAME = 63;

const purposeOf = (pipeline: string): string => `changes ${pipeline}`;

export class PostgresChanges implements ChangeCapability {
  readonly #system: PostgresSystem;
  #visibility: { readonly text: string; readonly parsed: Visibility } | null = null;

  constructor(system: PostgresSystem) {
    this.#system = system;
  }

  comparePositions(a: Position, b: Position): Order {
    return compareLsn(a, b);
  }

  orderOf(position: Position): string {
    return orderOfLsn(parseLsn(position));
  }

  distanceBytes(from: Position, to: Position): number {
    return Number(parseLsn(to) - parseLsn(from));
  }

  isVisible(visibility: string, transaction: TransactionMark): boolean {
    if (this.#visibility?.text !== visibility) {
      this.#visibility = { text: visibility, parsed: parseVisibility(visibility) };
    }
    return isVisible(this.#visibility.parsed, Number(transaction.ref));
  }

  async create(
    pipeline: string,
    streams: readonly StreamSchema[],
    options: { readonly parallel: number },
  ): ReturnType<ChangeCapability['create']> {
    const names = this.#names(pipeline);
    const { slot: name } = names;
    const { catalog } = this.#system;
    if (names.slotGiven) await slots.assertNoSlot(catalog, name);
    else await slots.dropSlot(catalog, name, this.#system.signal);
    await this.#publish(names, streams);
    const memberships = await this.#memberships(names, streams);
    const replication = await this.#system.connect('slot', { replication: true });
    try {
      const facts = await slots.identifySystem(replication);
      const waiting = setTimeout(() => {
        this.#system.notice('waiting for running transactions of the source to end', {
          slot: name,
        });
      }, WAIT_NOTICE_MS);
      const slot = await this.#createSlot(replication, name).finally(() => clearTimeout(waiting));
      const snapshot = await this.#system.openSnapshot({
        parallel: options.parallel,
        exported: slot.snapshotName,
        lockWaitMs: 0,
        release: () => replication.close(),
      });
      const identity = identityOf(facts, name);
      return { position: slot.consistentPoint, identity, snapshot, memberships };
    } catch (error) {
      replication.destroy('the slot could not be used');
      throw error;
    }
  }

  async verify(pipeline: string, checkpoint: Checkpoint): Promise<SourceIdentity> {
    const { slot: name, publications } = this.#names(pipeline);
    await this.#waitBriefly();
    const replication = await this.#system.connect('identify', { replication: true });
    try {
      const facts = await slots.identifySystem(replication);
      const slot = await slots.readSlot(this.#system.catalog, name);
      const published = await slots.arePublished(this.#system.catalog, publications);
      const problem = checkPosition({ name, facts, slot, published, checkpoint });
      if (problem !== null) throw problem;
      // The destination's epoch is taken by now, so an earlier run can no longer write.
      const ours = `forebay ${purposeOf(pipeline)}`.slice(0, MAX_APPLICATION_NAME);
      await slots.waitForSlot(this.#system.catalog, name, this.#system.signal, ours);
      this.#warnOfRetention(name, slot);
      return identityOf(facts, name);
    } finally {
      await replication.close();
    }
  }

  encodings(streams: readonly StreamSchema[]): readonly CellEncoding[] {
    const binary =
      this.#system.catalog.serverVersion >= BINARY_SINCE &&
      streams.every((schema) => schema.columns.every((column) => hasBinaryForm(column.type)));
    return binary ? ['binary', 'text'] : ['text'];
  }

  async open(options: Parameters<ChangeCapability['open']>[0]): Promise<ChangeReader> {
    const { slot: name, publications } = this.#names(options.pipeline);
    await slots.waitForSlot(this.#system.catalog, name, this.#system.signal);
    await this.#waitBriefly();
    const catalog = await this.#system.connect('catalog');
    const connection = await this.#system.connect(purposeOf(options.pipeline), {
      replication: true,
    });
    const streaming = connection.serverVersion >= STREAMING_SINCE;
    const command = slots.startCommand(name, options.position, {
      proto_version: streaming ? '2' : '1',
      publication_names: publications.map(quoteIdent).join(','),
      ...(options.encoding === 'binary' ? { binary: 'true' } : {}),
      ...(streaming ? { streaming: 'on' } : {}),
    });
    const reader = new PostgresChangeReader({
      connection,
      relations: new StreamRelations(catalog, options.encoding, options.streams),
      sink: options.sink,
      start: options.position,
      command,
      heartbeat: () => this.#heartbeat(catalog),
      heartbeatMs: this.#system.heartbeatMs,
    });
    const dispose = reader[Symbol.asyncDispose].bind(reader);
    reader[Symbol.asyncDispose] = async () => {
      await dispose();
      await catalog[Symbol.asyncDispose]();
    };
    return reader;
  }

  async currentPosition(): Promise<Position> {
    const { rows } = await this.#system.catalog.query(
      'SELECT pg_catalog.pg_current_wal_insert_lsn()::text',
    );
    await this.#heartbeat(this.#system.catalog);
    return rows[0]?.[0] ?? '0/0';
  }

  async addStreams(pipeline: string, streams: readonly StreamSchema[]): Promise<Memberships> {
    const names = this.#names(pipeline);
    const published = await slots.publishedTables(this.#system.catalog, names.publications);
    if (names.publicationGiven)
      slots.assertPublished(names.publications[0] ?? '', streams, published);
    const missing = streams.filter((schema) => !published.has(schema.ref));
    await this.#publishing((connection) =>
      asTableHeld(missing[0] ?? null, async () => {
        await connection.execute(`SET ${SHORT_WAIT}`);
        await slots.publishTables(connection, names.publications[0] ?? '', missing);
      }),
    );
    const memberships = await this.#memberships(names, streams);
    await this.#waitForOlderTransactions();
    return memberships;
  }

  memberships(pipeline: string, streams: readonly StreamSchema[]): Promise<Memberships> {
    return this.#memberships(this.#names(pipeline), streams);
  }

  leftovers(pipeline: string): Promise<readonly Leftover[]> {
    return slots.leftovers(this.#system.catalog, this.#names(pipeline));
  }

  async drop(pipeline: string): Promise<void> {
    const names = this.#names(pipeline);
    await slots.dropSlot(this.#system.catalog, names.slot, this.#system.signal);
    if (!names.publicationGiven)
      await slots.dropPublications(this.#system.catalog, slotName(pipeline));
  }

  readonly findsRows = true;

  lookup(schema: StreamSchema, batch: RowBatch, rows: readonly number[]): Promise<RowBatch | null> {
    return lookupRows(this.#system, { schema, batch, rows });
  }

  #names(pipeline: string): SourceNames {
    return sourceNames(pipeline, this.#system.context.options);
  }

  /** Makes the publications, or makes sure that the user's own one holds the tables. */
  async #publish(names: SourceNames, streams: readonly StreamSchema[]): Promise<void> {
    const { publications } = names;
    const [first = ''] = publications;
    if (!names.publicationGiven) {
      await this.#publishing((connection) => slots.createPublications(connection, first, streams));
      return;
    }
    await slots.assertWholePublication(this.#system.catalog, first);
    const published = await slots.publishedTables(this.#system.catalog, publications);
    slots.assertPublished(first, streams, published);
  }

  async #memberships(
    { publications }: SourceNames,
    streams: readonly StreamSchema[],
  ): Promise<Memberships> {
    const published = await slots.publishedTables(this.#system.catalog, publications);
    return new Map(
      streams.flatMap(({ stream, ref }) => {
        const how = published.get(ref);
        return how === undefined ? [] : [[streamId(stream), how] as const];
      }),
    );
  }

  /** From now on others are followed, whom a table that somebody holds must not stop. */
  async #waitBriefly(): Promise<void> {
    await this.#system.catalog.execute(`SET ${SHORT_WAIT}`);
  }

  /** To change a publication waits for whoever holds its tables; nothing else may wait behind it. */
  async #publishing(act: (connection: PgConnection) => Promise<void>): Promise<void> {
    await using connection = await this.#system.connect('publication');
    await act(connection);
  }

  async #createSlot(
    replication: Awaited<ReturnType<PostgresSystem['connect']>>,
    name: string,
  ): Promise<slots.CreatedSlot> {
    try {
      return await slots.createSlot(replication, name);
    } catch (error) {
      if (!(error instanceof ForebayError) || error.systemCode !== '55000') throw error;
      throw new ForebayError('source_settings', {
        message: 'the source does not write a logical log',
        ...(error.why === null ? {} : { why: error.why }),
        fix: 'ALTER SYSTEM SET wal_level = logical; then restart the server.',
        cause: error,
      });
    }
  }

  /**
   * Transactions that began before the publication changed may have changed the new tables unseen. Once they
   * have ended, what they did is visible to a snapshot.
   */
  async #waitForOlderTransactions(): Promise<void> {
    const { catalog, signal } = this.#system;
    const now = await catalog.query(
      'SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text',
    );
    const limit = now.rows[0]?.[0] ?? '0';
    const start = performance.now();
    let noticed = false;
    for (;;) {
      const { rows } = await catalog.query(
        'SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot()) >= $1::xid8',
        [limit],
      );
      if (rows[0]?.[0] === 't') return;
      if (signal.aborted)
        throw new ForebayError('interrupted', {
          message: 'interrupted while waiting for transactions',
        });
      if (!noticed && performance.now() - start > WAIT_NOTICE_MS) {
        noticed = true;
        this.#system.notice('waiting for running transactions of the source to end', {});
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  async #heartbeat(connection: { query: PostgresSystem['catalog']['query'] }): Promise<void> {
    await connection.query("SELECT pg_catalog.pg_logical_emit_message(true, 'forebay', '')");
  }

  #warnOfRetention(name: string, slot: slots.SlotState | null): void {
    if (slot === null || slot.walStatus === 'reserved' || slot.walStatus === null) return;
    this.#system.notice('the slot is near the limit of retained log', {
      slot: name,
      walStatus: slot.walStatus,
      safeWalBytes: slot.safeWalBytes,
    });
  }
}

function identityOf(facts: slots.SystemFacts, slot: string): SourceIdentity {
  return {
    system: FAMILY,
    facts: { systemId: facts.systemId, timeline: facts.timeline, slot },
  };
}
