/**
 * SQLite for Kysely, where whatever comes at once shares a commit. There is one connection, transactions take turns on
 * it, and the sync to disk of a commit costs more than all else: so each is a savepoint of one transaction around them,
 * and is answered when that is committed. What is read meanwhile is answered then, too: nobody acts on what might still
 * be lost. It behaves as if one followed the other, each with a commit of its own.
 */
import {
  type CompiledQuery,
  type DatabaseConnection,
  DeleteQueryNode,
  type Driver,
  InsertQueryNode,
  type QueryResult,
  SelectQueryNode,
  UpdateQueryNode,
} from 'kysely';
import type { DatabaseSync } from 'node:sqlite';
import { sqliteFailure, whileBusy } from './sqlite-guard.ts';

/** Transactions of one commit, and how long the first of them waits for more where they come without end. */
const MOST_MEMBERS = 200;
const LONGEST_WAIT_MS = 10;
const SAVEPOINT = 'own';

export interface SqliteStatements {
  readonly database: DatabaseSync;
  run<R>(sql: string, parameters: readonly unknown[]): QueryResult<R>;
}

class Group {
  readonly begunMs = performance.now();
  members = 0;
  failure: Error | null = null;
  readonly #committed = Promise.withResolvers<void>();

  constructor() {
    // Those that wait hear of it; there may be none.
    this.#committed.promise.catch(() => {});
  }

  get committed(): Promise<void> {
    return this.#committed.promise;
  }

  get isFull(): boolean {
    return this.members >= MOST_MEMBERS || performance.now() - this.begunMs >= LONGEST_WAIT_MS;
  }

  succeed(): void {
    this.#committed.resolve();
  }

  fail(error: unknown): void {
    this.failure = error instanceof Error ? error : new Error(String(error));
    this.#committed.reject(this.failure);
  }
}

/** What one caller holds: its turn, and its transaction where it began one. */
class Session implements DatabaseConnection {
  readonly #driver: SharedCommitDriver;
  hasTurn = true;
  /** Of the transaction that is open. */
  group: Group | null = null;
  /** Its transaction has ended; what still comes was meant to be in it. */
  isOver = false;

  constructor(driver: SharedCommitDriver) {
    this.#driver = driver;
  }

  executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    return this.#driver.execute<R>(this, query);
  }

  streamQuery(): never {
    throw new Error('rows of the metadata are read whole');
  }
}

export class SharedCommitDriver implements Driver {
  readonly #statements: SqliteStatements;
  readonly #waiting: (() => void)[] = [];
  #isTaken = false;
  /** Begun and not committed. */
  #group: Group | null = null;

  constructor(statements: SqliteStatements) {
    this.#statements = statements;
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<Session> {
    await this.#takeTurn();
    return new Session(this);
  }

  async releaseConnection(session: Session): Promise<void> {
    if (session.hasTurn) this.#passOn(session);
  }

  async beginTransaction(session: Session): Promise<void> {
    await this.#ensureTurn(session);
    const group = await this.#openGroup();
    this.#inGroup(group, `savepoint ${SAVEPOINT}`);
    session.group = group;
  }

  async commitTransaction(session: Session): Promise<void> {
    const group = this.#groupOf(session);
    this.#inGroup(group, `release ${SAVEPOINT}`);
    session.group = null;
    session.isOver = true;
    await this.#join(session, group);
  }

  async rollbackTransaction(session: Session): Promise<void> {
    const { group } = session;
    session.isOver = true;
    // The commit has failed, or all of it was rolled back.
    if (group === null || group.failure !== null) return;
    session.group = null;
    this.#inGroup(group, `rollback to ${SAVEPOINT}`);
    this.#inGroup(group, `release ${SAVEPOINT}`);
    // What it failed for may be something of the others that is not yet committed.
    await this.#join(session, group);
  }

  async destroy(): Promise<void> {
    // It comes last, and keeps its turn.
    await this.#takeTurn();
    this.#commit();
    this.#statements.database.close();
  }

  async execute<R>(session: Session, query: CompiledQuery): Promise<QueryResult<R>> {
    if (session.isOver) throw new Error('the transaction has ended');
    await this.#ensureTurn(session);
    if (session.group !== null) {
      this.#groupOf(session);
      return await this.#attempt<R>(query);
    }
    const { query: node } = query;
    const isRead = SelectQueryNode.is(node);
    const isWrite =
      InsertQueryNode.is(node) || UpdateQueryNode.is(node) || DeleteQueryNode.is(node);
    // Some statements may stand in no transaction.
    if (!isRead && !isWrite) this.#commit();
    const group = isWrite ? await this.#openGroup() : this.#group;
    if (group === null) return await this.#attempt<R>(query);
    try {
      return await this.#attempt<R>(query);
    } finally {
      await this.#join(session, group);
    }
  }

  async #openGroup(): Promise<Group> {
    if (this.#group !== null) return this.#group;
    // The write lock at once: one that reads first could not write where another process did meanwhile.
    await whileBusy(() => this.#run('begin immediate'));
    this.#group = new Group();
    return this.#group;
  }

  /** Fails where all of it was rolled back meanwhile. */
  #groupOf({ group }: Session): Group {
    if (group === null) throw new Error('no transaction is open');
    if (group.failure !== null) throw group.failure;
    return group;
  }

  async #attempt<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    try {
      return await whileBusy(() => this.#statements.run<R>(sql, parameters));
    } catch (error) {
      // A full disk ends the transaction around before anybody can.
      if (this.#group !== null && !this.#statements.database.isTransaction) this.#giveUp(error);
      throw error;
    }
  }

  /** What holds transactions apart must work, or none of them may be committed. */
  #inGroup(group: Group, sql: string): void {
    try {
      if (group.failure !== null) throw group.failure;
      this.#run(sql);
    } catch (error) {
      this.#giveUp(sqliteFailure(error));
      throw error;
    }
  }

  /** Of all that is not committed nothing stays. */
  #giveUp(error: unknown): void {
    this.#group?.fail(error);
    this.#group = null;
    if (this.#statements.database.isTransaction) this.#run('rollback');
  }

  #run(sql: string): void {
    this.#statements.run(sql, []);
  }

  /** Its part is done: others may add theirs. */
  async #join(session: Session, group: Group): Promise<void> {
    group.members += 1;
    if (session.hasTurn) this.#passOn(session);
    await group.committed;
  }

  async #ensureTurn(session: Session): Promise<void> {
    if (session.hasTurn) return;
    await this.#takeTurn();
    session.hasTurn = true;
  }

  async #takeTurn(): Promise<void> {
    if (!this.#isTaken) {
      this.#isTaken = true;
      return;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    await promise;
  }

  #passOn(session: Session): void {
    session.hasTurn = false;
    if (this.#group?.isFull === true) this.#commit();
    const next = this.#waiting.shift();
    if (next !== undefined) {
      next();
      return;
    }
    this.#isTaken = false;
    // Whoever comes in this turn of the event loop comes in time.
    if (this.#group !== null) setImmediate(() => this.#commitUnlessTaken());
  }

  #commitUnlessTaken(): void {
    if (!this.#isTaken) this.#commit();
  }

  #commit(): void {
    const group = this.#group;
    if (group === null) return;
    try {
      this.#run('commit');
    } catch (error) {
      this.#giveUp(sqliteFailure(error));
      return;
    }
    this.#group = null;
    group.succeed();
  }
}
