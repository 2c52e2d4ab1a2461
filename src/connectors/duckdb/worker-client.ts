/** The main thread's side of the worker. One worker per file and process: DuckDB's lock does not tell threads apart. */
import { Worker } from 'node:worker_threads';
import { ForebayError } from '../../core/errors.ts';
import { MEMORY_PATH } from './config.ts';
import { type PortableError, unpackError } from './errors.ts';
import type { OpenRequest, WorkerMethods } from './worker-methods.ts';
import type { Notice } from './workspace.ts';

type Methods = {
  [
    Name in keyof WorkerMethods as WorkerMethods[Name] extends (...args: never) => Promise<unknown>
      ? Name
      : never
  ]: WorkerMethods[Name];
};
export type MethodName = keyof Methods;

export interface CallMessage {
  readonly id: number;
  readonly method: MethodName;
  readonly args: readonly unknown[];
}

export type CallAnswer = {
  readonly id: number;
  readonly notices: readonly Notice[];
} & (
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: PortableError }
);

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: ForebayError) => void;
  readonly notify: NoticeListener;
}

type NoticeListener = (notice: Notice) => void;

class WorkerThread {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  #ids = 0;
  #failure: ForebayError | null = null;

  constructor() {
    // Compiled or straight from the sources.
    const file = import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js';
    this.#worker = new Worker(new URL(file, import.meta.url), {
      // Rows never become objects here: a small young generation keeps the thread's memory flat.
      resourceLimits: { maxYoungGenerationSizeMb: 12 },
    });
    this.#worker.on('message', (answer: CallAnswer) => this.#settle(answer));
    this.#worker.on('error', (error) => this.#fail(error.message));
    this.#worker.on('exit', () => this.#fail('it has ended'));
  }

  call(method: MethodName, args: readonly unknown[], notify: NoticeListener): Promise<unknown> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#ids += 1;
    this.#pending.set(this.#ids, { resolve, reject, notify });
    const message: CallMessage = { id: this.#ids, method, args };
    this.#worker.postMessage(message);
    return promise;
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }

  #settle(answer: CallAnswer): void {
    const pending = this.#pending.get(answer.id);
    this.#pending.delete(answer.id);
    if (pending === undefined) return;
    for (const notice of answer.notices) pending.notify(notice);
    if (answer.ok) pending.resolve(answer.value);
    else pending.reject(unpackError(answer.error));
  }

  #fail(why: string): void {
    this.#failure ??= new ForebayError('internal', { message: 'The DuckDB worker failed', why });
    for (const pending of this.#pending.values()) pending.reject(this.#failure);
    this.#pending.clear();
  }
}

interface Host {
  readonly thread: WorkerThread;
  readonly opened: Promise<void>;
  leases: number;
  closed: Promise<void> | null;
}

const hosts = new Map<string, Host>();
let memories = 0;

function open(request: OpenRequest): Host {
  const thread = new WorkerThread();
  const opened = thread.call('open', [request], () => {}).then(() => {});
  // Whoever leases the host awaits it; nobody else is to stumble over the rejection.
  opened.catch(() => {});
  return { thread, opened, leases: 0, closed: null };
}

/** A handle on an open file; the file is closed with the last of them. */
export class WorkerClient implements AsyncDisposable {
  readonly #key: string;
  readonly #host: Host;
  readonly #notify: NoticeListener;
  #open = true;

  private constructor(key: string, host: Host, notify: NoticeListener) {
    this.#key = key;
    this.#host = host;
    this.#notify = notify;
  }

  static async lease(request: OpenRequest, notify: NoticeListener): Promise<WorkerClient> {
    if (request.path === MEMORY_PATH) memories += 1;
    const key = request.path === MEMORY_PATH ? `${MEMORY_PATH}${memories}` : request.path;
    // Opening a file that is being closed would be two instances on one file.
    for (let closing = hosts.get(key)?.closed; closing != null; closing = hosts.get(key)?.closed) {
      await closing;
    }
    const host = hosts.get(key) ?? open(request);
    hosts.set(key, host);
    host.leases += 1;
    const client = new WorkerClient(key, host, notify);
    try {
      await host.opened;
      return client;
    } catch (error) {
      await client[Symbol.asyncDispose]();
      throw error;
    }
  }

  call<Name extends MethodName>(
    method: Name,
    ...args: Parameters<Methods[Name]>
  ): Promise<Awaited<ReturnType<Methods[Name]>>> {
    const answer = this.#host.thread.call(method, args, this.#notify);
    return answer as Promise<Awaited<ReturnType<Methods[Name]>>>;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    this.#host.leases -= 1;
    if (this.#host.leases > 0) return;
    this.#host.closed = this.#close();
    await this.#host.closed;
  }

  async #close(): Promise<void> {
    try {
      await this.#host.thread.call('close', [], () => {});
    } catch {
      // A worker that has failed holds nothing any more.
    } finally {
      await this.#host.thread.end();
      if (hosts.get(this.#key) === this.#host) hosts.delete(this.#key);
    }
  }
}
