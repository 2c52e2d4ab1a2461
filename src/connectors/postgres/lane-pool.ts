/** Connections of a destination: opened on demand, used by one caller at a time. */
import type { PostgresConfig } from './config.ts';
import { PgConnection } from './connection.ts';
import { ForebayError } from '../../core/errors.ts';
import type { Lane } from './lane.ts';
import { quoteLiteral } from './sql.ts';
import { Stages } from './stage.ts';

/** The stages' memory; a batch beyond it goes through temporary files. */
const SETTINGS = `
  SET bytea_output = 'hex'; SET lock_timeout = '30s'; SET jit = off; SET temp_buffers = '32MB';
  SET default_transaction_isolation = 'read committed';
  SET client_min_messages = error; SET row_security = off; SET xmloption = content;
  SELECT set_config(name, '0', false) FROM pg_settings
  WHERE name IN ('idle_session_timeout', 'transaction_timeout')`;

/**
 * A statement whose process is gone ends within a second instead of running to its end with its locks. Not there
 * before PostgreSQL 14, nor on every system that the server runs on.
 */
const NOTICE_LOSS = `DO $$ BEGIN
    PERFORM set_config('client_connection_check_interval', '1s', false);
  EXCEPTION WHEN undefined_object OR invalid_parameter_value THEN NULL;
  END $$`;

async function becomeReplica(connection: PgConnection): Promise<boolean> {
  try {
    await connection.execute('SET session_replication_role = replica');
    return true;
  } catch (error) {
    if (error instanceof ForebayError && error.systemCode === '42501') return false;
    throw error;
  }
}

export interface LaneOptions {
  readonly config: PostgresConfig;
  /** The same on all connections of a run, so that a later run can end what hangs. */
  readonly applicationName: string;
  readonly signal: AbortSignal;
}

export async function openLane(options: LaneOptions): Promise<Lane> {
  const { config, applicationName, signal } = options;
  const connection = await PgConnection.connect(config, { applicationName, signal });
  try {
    await connection.execute(
      `${SETTINGS}; ${NOTICE_LOSS}; SET application_name = ${quoteLiteral(applicationName)}`,
    );
    const replica = await becomeReplica(connection);
    return { connection, stages: new Stages(connection), replica };
  } catch (error) {
    await connection.close().catch(() => {});
    throw error;
  }
}

export class Borrowed implements AsyncDisposable {
  readonly lane: Lane;
  usable = true;
  readonly #giveBack: (usable: boolean) => Promise<void>;

  constructor(lane: Lane, giveBack: (usable: boolean) => Promise<void>) {
    this.lane = lane;
    this.#giveBack = giveBack;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#giveBack(this.usable);
  }
}

export class LanePool implements AsyncDisposable {
  readonly #options: LaneOptions;
  readonly #free: Lane[] = [];
  readonly #waiting: (() => void)[] = [];
  readonly #size: number;
  #taken = 0;
  #closed = false;

  constructor(options: LaneOptions, size: number) {
    this.#options = options;
    this.#size = size;
  }

  /** A connection to oneself until disposed of. */
  async borrow(): Promise<Borrowed> {
    while (this.#taken >= this.#size) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
    this.#taken += 1;
    try {
      const lane = this.#takeFree() ?? (await openLane(this.#options));
      return new Borrowed(lane, (usable) => this.#giveBack(lane, usable));
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  /** Runs an act on a connection of its own; one that failed badly is not used again. */
  async use<T>(act: (lane: Lane) => Promise<T>): Promise<T> {
    await using borrowed = await this.borrow();
    borrowed.usable = false;
    try {
      const result = await act(borrowed.lane);
      borrowed.usable = true;
      return result;
    } catch (error) {
      borrowed.usable = error instanceof ForebayError;
      throw error;
    }
  }

  /** Connections that broke while nobody used them are passed over. */
  #takeFree(): Lane | undefined {
    let lane = this.#free.pop();
    while (lane !== undefined && !lane.connection.isOpen) lane = this.#free.pop();
    return lane;
  }

  async #giveBack(lane: Lane, usable: boolean): Promise<void> {
    if (usable && !this.#closed && lane.connection.isOpen) this.#free.push(lane);
    else await lane.connection[Symbol.asyncDispose]();
    this.#release();
  }

  #release(): void {
    this.#taken -= 1;
    this.#waiting.shift()?.();
  }

  /** A transaction of its own: commits what the act did, or nothing. */
  transaction<T>(act: (lane: Lane) => Promise<T>): Promise<T> {
    return this.use((lane) => inTransaction(lane, act));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#free.splice(0).map((lane) => lane.connection[Symbol.asyncDispose]()));
  }
}

/** Constraints speak at once, while the row at fault can still be told, and not at the commit. */
export async function beginTransaction(lane: Lane): Promise<void> {
  await lane.stages.limit();
  await lane.connection.execute('BEGIN; SET CONSTRAINTS ALL IMMEDIATE');
}

export async function inTransaction<T>(lane: Lane, act: (lane: Lane) => Promise<T>): Promise<T> {
  await beginTransaction(lane);
  try {
    const result = await act(lane);
    await commitTransaction(lane);
    return result;
  } catch (error) {
    await rollbackTransaction(lane);
    throw error;
  }
}

/** A transaction that has failed answers COMMIT with ROLLBACK and no error. */
export async function commitTransaction(lane: Lane): Promise<void> {
  const { tag } = await lane.connection.query('COMMIT');
  lane.stages.transactionEnded();
  if (tag !== 'COMMIT') {
    throw new ForebayError('internal', { message: `COMMIT was answered with ${tag}` });
  }
}

/** Never fails: on a lost connection the server has rolled back. */
export async function rollbackTransaction(lane: Lane): Promise<void> {
  lane.stages.rolledBack();
  lane.stages.transactionEnded();
  if (lane.connection.isOpen) await lane.connection.execute('ROLLBACK').catch(() => {});
}
