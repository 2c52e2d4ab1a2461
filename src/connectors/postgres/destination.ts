/** PostgreSQL as a destination. */
import type { PipelineState } from '../../core/checkpoint.ts';
import type {
  ConnectorContext,
  Destination,
  DestinationSession,
  Finding,
  Leftover,
  PastCheckpoint,
  SessionOptions,
  StreamTarget,
  TargetPlan,
} from '../../core/connector.ts';
import type { DeadLetterStore } from '../../core/dead-letter.ts';
import { ForebayError } from '../../core/errors.ts';
import { readHistory } from './checkpoint-history.ts';
import { checkDestination } from './check-destination.ts';
import type { PostgresConfig } from './config.ts';
import { PostgresDeadLetters } from './dead-letter-store.ts';
import { readOpenLetters } from './dead-letters.ts';
import { planTarget } from './destination-plan.ts';
import { LanePool, openLane } from './lane-pool.ts';
import {
  assertEpoch,
  createMetadata,
  dropPipeline,
  dropUnusedMetadata,
  hasMetadata,
  listPipelines,
  nextEpoch,
  readPipeline,
  type RunIdentity,
} from './metadata.ts';
import {
  assertAlone,
  endOtherRuns,
  runApplicationName,
  waitingApplicationName,
} from './other-runs.ts';
import { placeOf } from './place.ts';
import { listBuilding } from './replace-table.ts';
import { PostgresSession } from './session.ts';
import { quoteLiteral, quoteName } from './sql.ts';

const PARALLEL_LOADS = 4;
/** Loads, and one for what has a transaction of its own beside them. */
const SESSION_CONNECTIONS = PARALLEL_LOADS + 1;

class PostgresDestination implements Destination {
  readonly family = 'postgres';
  readonly delivery = 'effectively once';
  readonly parallelLoads = PARALLEL_LOADS;
  readonly deadLetters: DeadLetterStore;
  readonly #config: PostgresConfig;
  readonly #context: ConnectorContext;
  /** For everything outside of runs. */
  readonly #pool: LanePool;

  constructor(config: PostgresConfig, context: ConnectorContext) {
    this.#config = config;
    this.#context = context;
    this.#pool = new LanePool({ config, applicationName: 'forebay', signal: context.signal }, 2);
    this.deadLetters = new PostgresDeadLetters(this.#pool);
  }

  place(): Promise<string> {
    return this.#pool.use(({ connection }) => placeOf(connection));
  }

  check(): Promise<Finding[]> {
    return this.#pool.use((lane) => checkDestination(lane));
  }

  plan(target: StreamTarget): Promise<TargetPlan> {
    return this.#pool.use((lane) => planTarget(lane.connection, target));
  }

  readState(pipeline: string): Promise<PipelineState | null> {
    return this.#pool.use(async ({ connection }) =>
      (await hasMetadata(connection)) ? readPipeline(connection, pipeline) : null,
    );
  }

  pipelines(): Promise<readonly string[]> {
    return this.#pool.use(async ({ connection }) =>
      (await hasMetadata(connection)) ? listPipelines(connection) : [],
    );
  }

  history(pipeline: string): Promise<readonly PastCheckpoint[]> {
    return this.#pool.use(({ connection }) => readHistory(connection, pipeline));
  }

  async openSession(
    pipeline: string,
    session: SessionOptions = { acceptDamaged: false },
  ): Promise<DestinationSession> {
    const applicationName = runApplicationName(pipeline);
    const options = { config: this.#config, applicationName, signal: this.#context.signal };
    const main = await openLane(
      session.exclusive === true
        ? { ...options, applicationName: waitingApplicationName(pipeline) }
        : options,
    );
    try {
      await createMetadata(main.connection);
      if (session.exclusive === true) {
        await assertAlone(main.connection, pipeline, applicationName);
        await main.connection.execute(`SET application_name = ${quoteLiteral(applicationName)}`);
      }
      const epoch = await this.#takeOver(main.connection, applicationName, {
        pipeline,
        run: session.run ?? null,
      });
      const state = await readPipeline(main.connection, pipeline, session);
      if (state === null || state.epoch !== epoch) {
        throw new ForebayError('fenced', {
          message: `another run of pipeline ${pipeline} took over`,
        });
      }
      const run = { pipeline, epoch };
      return new PostgresSession({
        context: this.#context,
        run,
        state,
        open: await readOpenLetters(main.connection, pipeline),
        main,
        pool: new LanePool(options, SESSION_CONNECTIONS),
        wasFenced: () => this.#wasFenced(run),
      });
    } catch (error) {
      await main.connection[Symbol.asyncDispose]();
      throw error;
    }
  }

  leftovers(pipeline: string): Promise<readonly Leftover[]> {
    return this.#pool.use(async ({ connection }) => {
      if (!(await hasMetadata(connection))) return [];
      const state = await readPipeline(connection, pipeline).catch((error: unknown) => {
        // A damaged checkpoint is there all the same, and may be removed.
        if (error instanceof ForebayError && error.code === 'checkpoint_corrupt') return 'damaged';
        throw error;
      });
      const tables = await listBuilding(connection, pipeline);
      return [
        ...(state === null
          ? []
          : [{ kind: 'checkpoint', name: `_forebay.checkpoints: ${pipeline}` }]),
        ...tables.map((table) => ({ kind: 'stage table', name: quoteName(table) })),
      ];
    });
  }

  drop(pipeline: string): Promise<void> {
    return this.#pool.use(async (lane) => {
      const { connection } = lane;
      if (!(await hasMetadata(connection))) return;
      await endOtherRuns(connection, runApplicationName(pipeline));
      for (const table of await listBuilding(connection, pipeline)) {
        await connection.execute(`DROP TABLE IF EXISTS ${quoteName(table)}`);
      }
      await dropPipeline(connection, pipeline);
      await dropUnusedMetadata(connection);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool[Symbol.asyncDispose]();
  }

  /** Takes the next epoch, then ends what an earlier run left hanging with its locks. */
  async #takeOver(
    connection: Parameters<typeof nextEpoch>[0],
    applicationName: string,
    { pipeline, run }: { readonly pipeline: string; readonly run: string | null },
  ): Promise<number> {
    let epoch: number;
    try {
      await connection.execute("SET lock_timeout = '2s'");
      epoch = await nextEpoch(connection, pipeline, run);
    } catch (error) {
      if (!(error instanceof ForebayError) || error.code !== 'conflict') throw error;
      await endOtherRuns(connection, applicationName);
      epoch = await nextEpoch(connection, pipeline, run);
    }
    await connection.execute("SET lock_timeout = '30s'");
    await endOtherRuns(connection, applicationName);
    return epoch;
  }

  async #wasFenced(run: RunIdentity): Promise<boolean> {
    try {
      await this.#pool.use((lane) => assertEpoch(lane.connection, run));
      return false;
    } catch (error) {
      return error instanceof ForebayError && error.code === 'fenced';
    }
  }
}

export async function openPostgresDestination(
  config: PostgresConfig,
  context: ConnectorContext,
): Promise<Destination> {
  return new PostgresDestination(config, context);
}
