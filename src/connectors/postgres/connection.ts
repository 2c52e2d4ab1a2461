/** One connection to a PostgreSQL server: queries, COPY both ways, replication. Our own client, because the
 * data path forwards the server's frames as they are. Protocol: PostgreSQL documentation, chapter 55. */
import type { Socket } from 'node:net';
import { ForebayError } from '../../core/errors.ts';
import { answerAuthentication, type Login, loginRefused, prepareLogin } from './authentication.ts';
import type { ScramExchange } from './auth.ts';
import { type PostgresConfig, printServer } from './config.ts';
import type { CopyIn, CopyOut } from './copy.ts';
import {
  collectResult,
  type CopyBothReceiver,
  type CopyRequest,
  openCopyBoth,
  openCopyIn,
  openCopyOut,
  type QueryResult,
  type Request,
} from './requests.ts';
import { serverFailure, socketFailure } from './errors.ts';
import { MessageReader } from './message-reader.ts';
import { certificateRefusal } from './tls.ts';
import { openTransport, probe, type Transport } from './transport.ts';
import {
  extendedQuery,
  message,
  type QueryParameter,
  readServerError,
  startupMessage,
} from './wire.ts';

export interface ConnectOptions {
  readonly applicationName: string;
  readonly signal: AbortSignal;
  readonly replication?: boolean;
}

const SETTINGS = {
  client_encoding: 'UTF8',
  DateStyle: 'ISO, YMD',
  IntervalStyle: 'postgres',
  TimeZone: 'UTC',
  extra_float_digits: '3',
  bytea_output: 'hex',
  standard_conforming_strings: 'on',
  array_nulls: 'on',
  xmloption: 'content',
  search_path: 'pg_catalog',
  // A table whose policies would hide rows is refused instead of read in part.
  row_security: 'off',
  statement_timeout: '0',
  idle_in_transaction_session_timeout: '0',
} as const;

/** Silence during a request after which the server is probed by a second connection. */
const SILENCE_MS = 12_000;

export class PgConnection implements AsyncDisposable {
  readonly #socket: Socket;
  readonly #config: PostgresConfig;
  readonly #reader: MessageReader;
  readonly #parameters = new Map<string, string>();
  readonly #watchdog: NodeJS.Timeout;
  #processId = 0;
  #request: Request | null = null;
  #tail: Promise<unknown> = Promise.resolve();
  #failure: ForebayError | null = null;
  #closing = false;
  #lastByteAt = performance.now();
  #probing = false;

  private constructor(transport: Transport, config: PostgresConfig) {
    const { socket } = transport;
    this.#socket = socket;
    this.#config = config;
    this.#reader = new MessageReader(
      {
        message: (type, body) => this.#onMessage(type, body),
        frames: (bytes) => this.#request?.frames?.(bytes),
      },
      transport.borrowed,
    );
    this.#watchdog = setInterval(() => this.#watch(), SILENCE_MS / 4);
    this.#watchdog.unref();
    transport.listen((chunk) => this.#onData(chunk));
    socket.on('error', (error) => {
      this.#fail(certificateRefusal(error, config) ?? socketFailure(error, this.server, true));
    });
    socket.on('close', () => this.#fail(this.#closedFailure()));
    socket.resume();
  }

  static async connect(config: PostgresConfig, options: ConnectOptions): Promise<PgConnection> {
    const login = await prepareLogin(config, options.signal);
    const transport = await openTransport(config, options.signal);
    const { socket } = transport;
    const connection = new PgConnection(transport, config);
    const onAbort = (): void => connection.destroy('interrupted');
    options.signal.addEventListener('abort', onAbort, { once: true });
    socket.once('close', () => options.signal.removeEventListener('abort', onAbort));
    if (options.signal.aborted) onAbort();
    try {
      await connection.#startup(login, options);
      // Such a database holds bytes of any encoding. Asked for UTF-8, the server fails a whole read, or the stream
      // for ever, at the first value that is none; whoever stores the value refuses it alone.
      if (connection.hasRawText) await connection.execute("SET client_encoding = 'SQL_ASCII'");
    } catch (error) {
      connection.destroy('startup failed');
      throw error;
    }
    return connection;
  }

  /** `host:port`, for messages. */
  get server(): string {
    return printServer(this.#config);
  }

  get processId(): number {
    return this.#processId;
  }

  /** The database checks no encoding: text may be any bytes. */
  get hasRawText(): boolean {
    return this.#parameters.get('server_encoding') === 'SQL_ASCII';
  }

  /** As `server_version_num`, e.g. 150018. */
  get serverVersion(): number {
    const match = /^(\d+)(?:\.(\d+))?/.exec(this.#parameters.get('server_version') ?? '');
    return match ? Number(match[1]) * 10_000 + Number(match[2] ?? 0) : 0;
  }

  get isOpen(): boolean {
    return this.#failure === null && !this.#closing;
  }

  /** One statement with parameters; results are text. */
  query(sql: string, parameters: readonly QueryParameter[] = []): Promise<QueryResult> {
    return this.#serial(() => this.#collect(extendedQuery(sql, parameters)));
  }

  /** Statements without parameters, by the simple protocol; the result is that of the last one. */
  simple(sql: string): Promise<QueryResult> {
    return this.#serial(() => this.#collect(message('Q', sql)));
  }

  async execute(sql: string): Promise<void> {
    await this.simple(sql);
  }

  /** Resolves when the server begins to send; the connection is taken until the frames have ended. */
  copyOut(sql: string): Promise<CopyOut> {
    return this.#start('H', sql, () => openCopyOut(this.#socket));
  }

  copyIn(sql: string): Promise<CopyIn> {
    return this.#start('G', sql, () => openCopyIn(this.#socket));
  }

  /** START_REPLICATION: frames go to the receiver; the function sends CopyData messages of ours. */
  copyBoth(sql: string, receiver: CopyBothReceiver): Promise<(payload: Buffer) => void> {
    return this.#start('W', sql, () => openCopyBoth(this.#socket, receiver));
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#lastByteAt = performance.now();
    this.#socket.resume();
  }

  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    clearInterval(this.#watchdog);
    if (this.#failure !== null || this.#socket.destroyed) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        this.#socket.destroy();
      }, 2000);
      this.#socket.once('close', () => {
        clearTimeout(timer);
        resolve();
      });
      this.#socket.resume();
      this.#socket.end(message('X'));
    });
  }

  destroy(why: string): void {
    this.#fail(
      new ForebayError('connection_lost', {
        message: `the connection to ${this.server} was given up`,
        why,
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#request === null) await this.close();
    else this.destroy('closed while a request was under way');
  }

  async #serial<T>(act: () => Promise<T>): Promise<T> {
    const before = this.#tail;
    const gate = Promise.withResolvers<void>();
    this.#tail = gate.promise;
    await before;
    try {
      if (this.#failure !== null) throw this.#failure;
      return await act();
    } finally {
      gate.resolve();
    }
  }

  #collect(bytes: Buffer): Promise<QueryResult> {
    return new Promise((resolve, reject) => {
      this.#begin(bytes, collectResult(resolve, reject));
    });
  }

  /** Starts a COPY; holds the connection until ReadyForQuery. */
  #start<T>(accept: string, sql: string, open: () => CopyRequest<T>): Promise<T> {
    const opened = Promise.withResolvers<T>();
    const held = this.#serial(
      () =>
        new Promise<void>((release) => {
          let tag = '';
          let error: ForebayError | null = null;
          let copy: CopyRequest<T> | null = null;
          const finish = (failure: ForebayError | null): void => {
            if (copy === null) {
              opened.reject(
                failure ?? new ForebayError('protocol', { message: 'COPY did not begin' }),
              );
            } else {
              this.#reader.copying = false;
              copy.done(tag, failure);
            }
            release();
          };
          this.#begin(message('Q', sql), {
            frames: (bytes) => copy?.frames(bytes),
            message: (type, body) => {
              if (type === accept) {
                this.#reader.copying = true;
                copy = open();
                opened.resolve(copy.value);
              } else if (type === 'C') tag = body.toString('utf8', 0, body.length - 1);
              else if (type === 'E') {
                error ??= serverFailure(readServerError(body), 'the server ended a COPY');
                copy?.early?.(error);
              } else if (type === 'Z') finish(error);
            },
            fail: finish,
          });
        }),
    );
    held.catch((error: unknown) => opened.reject(error));
    return opened.promise;
  }

  #begin(bytes: Buffer, request: Request): void {
    this.#request = request;
    this.#lastByteAt = performance.now();
    this.#socket.write(bytes);
  }

  #onData(chunk: Buffer): void {
    this.#lastByteAt = performance.now();
    try {
      this.#reader.push(chunk);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#fail(
        error instanceof ForebayError
          ? error
          : new ForebayError('protocol', {
              message: `cannot read what ${this.server} sent`,
              why,
              cause: error,
            }),
      );
    }
  }

  #onMessage(type: string, body: Buffer): void {
    if (type === 'S') {
      const end = body.indexOf(0);
      this.#parameters.set(
        body.toString('utf8', 0, end),
        body.toString('utf8', end + 1, body.length - 1),
      );
      return;
    }
    if (type === 'N' || type === 'A') return;
    const request = this.#request;
    if (request === null) {
      if (type === 'E')
        this.#fail(serverFailure(readServerError(body), `${this.server} ended the connection`));
      return;
    }
    if (type === 'Z') this.#request = null;
    request.message(type, body);
  }

  #fail(error: ForebayError): void {
    if (this.#failure !== null) return;
    this.#failure = error;
    clearInterval(this.#watchdog);
    this.#socket.destroy();
    const request = this.#request;
    this.#request = null;
    request?.fail(error);
  }

  #closedFailure(): ForebayError {
    return new ForebayError('connection_lost', {
      message: `the connection to ${this.server} was closed`,
      why: this.#closing ? 'closed by us' : 'closed by the server',
    });
  }

  /** A server that is silent during a request is either working or gone; a second connection tells which. */
  #watch(): void {
    const silent = performance.now() - this.#lastByteAt;
    if (this.#request === null || this.#probing || silent < SILENCE_MS || this.#socket.isPaused())
      return;
    this.#probing = true;
    void probe(this.#config).then((alive) => {
      this.#probing = false;
      if (alive) return;
      if (performance.now() - this.#lastByteAt < SILENCE_MS) return;
      this.#fail(
        new ForebayError('connection_lost', {
          message: `${this.server} no longer answers`,
          why: `nothing received for ${Math.round(silent / 1000)} s and a new connection fails`,
        }),
      );
    });
  }

  async #startup(login: Login, options: ConnectOptions): Promise<void> {
    const startup = startupMessage({
      user: this.#config.user,
      database: this.#config.database,
      application_name: this.#config.applicationName ?? options.applicationName,
      ...(options.replication === true ? { replication: 'database' } : {}),
      ...SETTINGS,
    });
    await new Promise<void>((resolve, reject) => {
      let scram: ScramExchange | null = null;
      const write = (bytes: Buffer): void => {
        this.#socket.write(bytes);
      };
      const timer = setTimeout(
        () => this.destroy(`no answer to the startup within ${this.#config.connectTimeoutMs} ms`),
        this.#config.connectTimeoutMs,
      );
      const fail = (error: ForebayError): void => {
        clearTimeout(timer);
        reject(error);
      };
      this.#begin(startup, {
        fail,
        message: (type, body) => {
          if (type === 'R') scram = answerAuthentication({ login, write, body, scram });
          else if (type === 'K') this.#processId = body.readInt32BE(0);
          else if (type === 'E') this.#fail(loginRefused(readServerError(body), login));
          else if (type === 'Z') {
            clearTimeout(timer);
            resolve();
          }
        },
      });
    });
  }
}
