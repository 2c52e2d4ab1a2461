/** What the parts of the connector share: configuration, a catalog connection, opening more of them. */
import type { ConnectorContext } from '../../core/connector.ts';
import type { PostgresConfig } from './config.ts';
import { PgConnection } from './connection.ts';
import { PostgresSnapshot } from './snapshot.ts';

export class PostgresSystem implements AsyncDisposable {
  readonly config: PostgresConfig;
  readonly context: ConnectorContext;
  readonly catalog: PgConnection;
  readonly heartbeatMs: number;

  private constructor(config: PostgresConfig, context: ConnectorContext, catalog: PgConnection) {
    this.config = config;
    this.context = context;
    this.catalog = catalog;
    this.heartbeatMs = Number(context.options['postgres.heartbeat-ms'] ?? 10_000);
  }

  static async open(config: PostgresConfig, context: ConnectorContext): Promise<PostgresSystem> {
    const catalog = await PgConnection.connect(config, {
      applicationName: 'forebay',
      signal: context.signal,
    });
    return new PostgresSystem(config, context, catalog);
  }

  get signal(): AbortSignal {
    return this.context.signal;
  }

  notice(event: string, fields: Readonly<Record<string, string | number | boolean | null>>): void {
    this.context.notice(event, fields);
  }

  connect(
    purpose: string,
    options: { readonly replication?: boolean } = {},
  ): Promise<PgConnection> {
    return PgConnection.connect(this.config, {
      applicationName: `forebay ${purpose}`.slice(0, 63),
      signal: this.signal,
      ...options,
    });
  }

  /** A consistent view for several connections; `exported` is a snapshot that somebody else holds. */
  async openSnapshot(options: {
    readonly parallel: number;
    readonly exported: string | null;
    /** 0: for ever. */
    readonly lockWaitMs: number;
    readonly release: () => Promise<void>;
  }): Promise<PostgresSnapshot> {
    const opened: PgConnection[] = [];
    const open = async (): Promise<PgConnection> => {
      const connection = await this.connect('snapshot');
      opened.push(connection);
      return connection;
    };
    try {
      const holder = options.exported === null ? await open() : null;
      let name = options.exported;
      if (holder !== null) {
        await holder.execute('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
        name = (await holder.query('SELECT pg_catalog.pg_export_snapshot()')).rows[0]?.[0] ?? '';
      }
      const begin =
        `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '${name ?? ''}'; ` +
        `SET LOCAL lock_timeout = ${options.lockWaitMs}`;
      const first = await open();
      await first.execute(begin);
      const seen = await first.query('SELECT pg_catalog.pg_current_snapshot()::text');
      await first.execute('COMMIT');
      const visibility = seen.rows[0]?.[0] ?? null;
      return this.#snapshot({ ...options, holder, begin, first, visibility });
    } catch (error) {
      // A transaction that nobody ends would keep the server from clearing up.
      for (const connection of opened) await connection[Symbol.asyncDispose]();
      throw error;
    }
  }

  #snapshot(parts: {
    readonly parallel: number;
    readonly release: () => Promise<void>;
    readonly holder: PgConnection | null;
    readonly begin: string;
    readonly first: PgConnection;
    readonly visibility: string | null;
  }): PostgresSnapshot {
    const { holder, begin, first } = parts;
    let spare: PgConnection | null = first;
    return new PostgresSnapshot({
      connect: () => {
        const connection = spare;
        spare = null;
        return connection === null ? this.connect('snapshot') : Promise.resolve(connection);
      },
      begin,
      catalog: this.catalog,
      parallel: parts.parallel,
      slabs: this.context.slabs,
      visibility: parts.visibility,
      release: async () => {
        await spare?.[Symbol.asyncDispose]();
        await holder?.[Symbol.asyncDispose]();
        await parts.release();
      },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.catalog[Symbol.asyncDispose]();
  }
}
