/** The health protocol of gRPC: SERVING is what `/readyz` calls ready. Needs no token. */
import { setTimeout as wait } from 'node:timers/promises';
import {
  type sendUnaryData,
  type ServerUnaryCall,
  type ServerWritableStream,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { FastifyInstance } from 'fastify';
import { callerAddress } from './request.ts';

interface HealthRequest {
  readonly service?: string;
}

interface HealthResponse {
  readonly status: 'SERVING' | 'NOT_SERVING' | 'SERVICE_UNKNOWN';
}

type CheckCall = ServerUnaryCall<HealthRequest, HealthResponse>;
type WatchCall = ServerWritableStream<HealthRequest, HealthResponse>;

export interface HealthContext {
  readonly app: Pick<FastifyInstance, 'inject'>;
  /** Names that may be asked for, beside the empty one. */
  readonly services: ReadonlySet<string>;
  readonly stopping: AbortSignal;
  readonly pollMs?: number;
}

const POLL_MS = 1000;
/** Anybody may watch. */
const MOST_WATCHERS = 100;

const TOO_OFTEN = { code: status.RESOURCE_EXHAUSTED, details: 'Too many requests' };

/** One look serves all who watch; none is taken while nobody does. */
export class Health {
  readonly #context: HealthContext;
  readonly #watchers = new Set<(response: HealthResponse) => void>();
  #looking = false;

  constructor(context: HealthContext) {
    this.#context = context;
    context.stopping.addEventListener('abort', () => this.#tell({ status: 'NOT_SERVING' }));
  }

  implementation(): UntypedServiceImplementation {
    return {
      Check: (call: CheckCall, callback: sendUnaryData<HealthResponse>) => {
        if (!this.#knows(call)) {
          callback({ code: status.NOT_FOUND, details: 'There is no such service' });
          return;
        }
        void this.#check(call, callback);
      },
      Watch: (call: WatchCall) => void this.#watch(call),
    };
  }

  #knows({ request }: CheckCall | WatchCall): boolean {
    const { service = '' } = request;
    return service === '' || this.#context.services.has(service);
  }

  async #check(call: CheckCall, callback: sendUnaryData<HealthResponse>): Promise<void> {
    const response = await this.#look(callerAddress(call.getPeer()));
    if (response === null) callback(TOO_OFTEN);
    else callback(null, response);
  }

  /** Null: the address asks too often, and is told nothing. */
  async #look(remoteAddress?: string): Promise<HealthResponse | null> {
    if (this.#context.stopping.aborted) return { status: 'NOT_SERVING' };
    try {
      const { statusCode } = await this.#context.app.inject({
        method: 'GET',
        url: '/readyz',
        ...(remoteAddress === undefined ? {} : { remoteAddress }),
      });
      if (statusCode === 429) return null;
      return { status: statusCode === 200 ? 'SERVING' : 'NOT_SERVING' };
    } catch {
      return { status: 'NOT_SERVING' };
    }
  }

  /** Of a service that is not known it is told so, and the call stays open: it may come to be. */
  async #watch(call: WatchCall): Promise<void> {
    const { stopping } = this.#context;
    if (this.#watchers.size >= MOST_WATCHERS) {
      call.emit('error', { code: status.RESOURCE_EXHAUSTED, details: 'Too many watch already' });
      return;
    }
    let last: HealthResponse['status'] | null = null;
    const tell = (response: HealthResponse): void => {
      // Who does not read gets the state of when they do.
      if (response.status === last || call.writableNeedDrain) return;
      last = response.status;
      call.write(response);
    };
    const watcher = this.#knows(call) ? tell : () => {};
    const end = (): void => {
      this.#watchers.delete(watcher);
      stopping.removeEventListener('abort', stop);
    };
    const stop = (): void => {
      end();
      call.emit('error', { code: status.UNAVAILABLE, details: 'The server is stopping' });
    };
    this.#watchers.add(watcher);
    call.once('cancelled', end);
    stopping.addEventListener('abort', stop);
    const first = this.#knows(call)
      ? await this.#look(callerAddress(call.getPeer()))
      : ({ status: 'SERVICE_UNKNOWN' } as const);
    // It may have ended while that was asked.
    if (!this.#watchers.has(watcher)) return;
    if (first !== null) tell(first);
    await this.#lookAgain();
  }

  #tell(response: HealthResponse): void {
    for (const watcher of this.#watchers) watcher(response);
  }

  async #lookAgain(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      while (this.#watchers.size > 0 && !this.#context.stopping.aborted) {
        await wait(this.#context.pollMs ?? POLL_MS, undefined, { signal: this.#context.stopping });
        const response = await this.#look();
        if (response !== null) this.#tell(response);
      }
    } catch {
      // The server stops, which those who watch were told.
    } finally {
      this.#looking = false;
    }
  }
}
