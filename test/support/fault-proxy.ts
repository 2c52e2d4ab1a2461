// A TCP proxy on loopback that a test can break: between a client and a real server.
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

export interface FaultProxy extends AsyncDisposable {
  readonly port: number;
  /** Connections open through the proxy now. */
  readonly connections: number;
  /** Bytes passed on so far, over all connections. */
  readonly passed: { readonly toServer: number; readonly toClient: number };
  /** Closes every connection and refuses new ones until heal(). */
  cut(): void;
  /** Breaks every open connection with a TCP reset; new ones pass. */
  reset(): void;
  /** Nothing passes in either direction and nobody is told, on open and new connections, until heal(). */
  blackhole(): void;
  /** Every chunk arrives this much later, in each direction; throughput stays. */
  latency(ms: number): void;
  /** Passes on so many more bytes in this direction, over all connections, then resets them all, once. */
  cutAfter(bytes: number, direction?: Direction): void;
  /** Ends cut, black hole, latency and limit; what a black hole held back passes. */
  heal(): void;
}

type Direction = 'toServer' | 'toClient';
interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}
interface Faults {
  mode: 'pass' | 'cut' | 'blackhole';
  latencyMs: number;
  limit: { direction: Direction; bytesLeft: number } | null;
  /** Settled by heal(), for those that wait in a black hole. */
  healed: PromiseWithResolvers<void>;
}

const queueBytes = 1 << 20;

export async function startFaultProxy(targetPort: number): Promise<FaultProxy> {
  const pairs = new Set<Pair>();
  const passed = { toServer: 0, toClient: 0 };
  const faults: Faults = {
    mode: 'pass',
    latencyMs: 0,
    limit: null,
    healed: Promise.withResolvers<void>(),
  };
  const breakAll = (how: 'resetAndDestroy' | 'destroy') => {
    for (const { client, server } of pairs) {
      client[how]();
      server[how]();
    }
  };
  /** False when the chunk exhausted the limit, in which case every connection is gone. */
  const pass = (to: Socket, chunk: Buffer, direction: Direction): boolean => {
    const limit = faults.limit?.direction === direction ? faults.limit : null;
    const allowed = limit === null ? chunk : chunk.subarray(0, limit.bytesLeft);
    passed[direction] += allowed.length;
    if (limit === null) return to.write(allowed);
    limit.bytesLeft -= allowed.length;
    if (limit.bytesLeft > 0) return to.write(allowed);
    faults.limit = null;
    // A reset would throw away bytes that are still on their way, so it waits for the write.
    to.write(allowed, () => breakAll('resetAndDestroy'));
    return true;
  };

  const proxy = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    if (faults.mode === 'cut') {
      client.resetAndDestroy();
      return;
    }
    const server = connect({
      port: targetPort,
      host: '127.0.0.1',
      allowHalfOpen: true,
      noDelay: true,
    });
    const pair = { client, server };
    pairs.add(pair);
    link(pair, () => pairs.delete(pair));
    pump(client, server, faults, (to, chunk) => pass(to, chunk, 'toServer'));
    pump(server, client, faults, (to, chunk) => pass(to, chunk, 'toClient'));
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');

  const heal = () => {
    faults.mode = 'pass';
    faults.latencyMs = 0;
    faults.limit = null;
    faults.healed.resolve();
    faults.healed = Promise.withResolvers<void>();
  };
  return {
    port: portOf(proxy),
    get connections() {
      return pairs.size;
    },
    passed,
    cut: () => {
      faults.mode = 'cut';
      breakAll('destroy');
    },
    reset: () => breakAll('resetAndDestroy'),
    blackhole: () => {
      faults.mode = 'blackhole';
    },
    latency: (ms) => {
      faults.latencyMs = ms;
    },
    cutAfter: (bytes, direction = 'toClient') => {
      faults.limit = { direction, bytesLeft: bytes };
    },
    heal,
    [Symbol.asyncDispose]: async () => {
      breakAll('destroy');
      heal();
      proxy.close();
      if (proxy.listening) await once(proxy, 'close');
    },
  };
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no TCP address');
  return address.port;
}

/** When one side is gone, so is the other, at once where it broke. */
function link({ client, server }: Pair, forget: () => void): void {
  for (const [side, other] of [
    [client, server],
    [server, client],
  ] as const) {
    side.on('error', () => other.resetAndDestroy());
    side.on('close', () => {
      other.destroySoon();
      forget();
    });
  }
}

/** Passes chunks on in order, each no earlier than its latency after it came in. */
function pump(
  from: Socket,
  to: Socket,
  faults: Faults,
  pass: (to: Socket, chunk: Buffer) => boolean,
): void {
  let queued = 0;
  let tail = Promise.resolve();
  const enqueue = (act: () => Promise<void> | void) => {
    const dueAt = performance.now() + faults.latencyMs;
    tail = tail.then(async () => {
      const waitMs = dueAt - performance.now();
      if (waitMs > 0) await delay(waitMs);
      while (faults.mode === 'blackhole') await faults.healed.promise;
      if (!to.destroyed) await act();
    });
  };
  from.on('data', (chunk: Buffer) => {
    queued += chunk.length;
    if (queued > queueBytes) from.pause();
    enqueue(async () => {
      const roomLeft = pass(to, chunk);
      if (!roomLeft) await drained(to);
      queued -= chunk.length;
      if (queued <= queueBytes) from.resume();
    });
  });
  from.on('end', () => enqueue(() => void to.end()));
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off('drain', done);
      socket.off('close', done);
      resolve();
    };
    socket.once('drain', done);
    socket.once('close', done);
  });
}
