/** The API over gRPC, on a port of its own. */
import { once } from 'node:events';
import { lookup } from 'node:dns/promises';
import { type AddressInfo, createServer, type Server as NetServer, type Socket } from 'node:net';
import { Server, ServerCredentials, type UntypedServiceImplementation } from '@grpc/grpc-js';
import type { FastifyInstance } from 'fastify';
import type { Log } from '../../service/log.ts';
import { BODY_BYTES } from '../app.ts';
import { GRACE_MS, type ListenOptions, portFailure } from '../listen.ts';
import { ROUTES } from '../routes/index.ts';
import { type CallContext, feedHandler, unaryHandler } from './calls.ts';
import { PACKAGE, type Rpc, rpcsOf } from './contract.ts';
import { loadDefinitions, serviceOf } from './definitions.ts';
import { Health } from './health.ts';

export interface GrpcServer extends AsyncDisposable {
  /** Where it answers: `host:port`. */
  readonly address: string;
}

export interface GrpcOptions {
  /** Whose routes are called. */
  readonly app: Pick<FastifyInstance, 'inject'>;
  readonly log: Log;
  /** How often it is looked whether the server is ready, while somebody watches. */
  readonly healthPollMs?: number;
}

const CHANNEL = {
  'grpc.max_receive_message_length': BODY_BYTES,
  'grpc.max_concurrent_streams': 100,
  // Followers that are gone without a word would hold their places for ever.
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.max_connection_idle_ms': 300_000,
};

function addServices(server: Server, context: CallContext, healthPollMs?: number): void {
  const definitions = loadDefinitions();
  const services = Map.groupBy(rpcsOf(ROUTES), ({ service }) => `${PACKAGE}.${service}`);
  const handlerOf = (rpc: Rpc) =>
    rpc.isFeed ? feedHandler(context, rpc) : unaryHandler(context, rpc);
  for (const [name, rpcs] of services) {
    const implementation: UntypedServiceImplementation = Object.fromEntries(
      rpcs.map((rpc) => [rpc.name, handlerOf(rpc)]),
    );
    server.addService(serviceOf(definitions, name), implementation);
  }
  const health = new Health({
    app: context.app,
    services: new Set(services.keys()),
    stopping: context.stopping,
    ...(healthPollMs === undefined ? {} : { pollMs: healthPollMs }),
  });
  server.addService(serviceOf(definitions, 'grpc.health.v1.Health'), health.implementation());
}

async function listenAt(
  host: string,
  port: number,
  take: (socket: Socket) => void,
): Promise<NetServer> {
  const server = createServer(take).listen(port, host);
  await once(server, 'listening');
  return server;
}

const ABSENT = new Set(['EADDRNOTAVAIL', 'EAFNOSUPPORT']);

/** As the REST API: `localhost` is every address of that name that the machine has. */
async function listenOn(
  { host, port }: ListenOptions,
  take: (socket: Socket) => void,
): Promise<readonly [NetServer, ...NetServer[]]> {
  const names = host === 'localhost' ? await lookup(host, { all: true }) : [];
  const [first = host, ...others] = names.map(({ address }) => address);
  const servers: [NetServer, ...NetServer[]] = [await listenAt(first, port, take)];
  for (const address of others) {
    try {
      servers.push(await listenAt(address, portOf(servers[0]), take));
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : '';
      if (ABSENT.has(code)) continue;
      for (const server of servers) server.close();
      throw error;
    }
  }
  return servers;
}

// Listening on a host and port, the address is one.
const portOf = (server: NetServer): number => (server.address() as AddressInfo).port;

function addressOf(server: NetServer): string {
  const { address, family, port } = server.address() as AddressInfo;
  return `${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}

/**
 * Lets what is being answered finish for a while. A session is closed before all of it is sent, and one that is
 * closing waits for its peer even where it is destroyed: it has ended when its socket has.
 */
async function shutDown(
  server: Server,
  sockets: ReadonlySet<Socket>,
  graceMs: number,
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const cutOff = setTimeout(() => {
    server.forceShutdown();
    for (const socket of sockets) socket.destroy();
    resolve();
  }, graceMs);
  server.tryShutdown(() => resolve());
  await promise;
  await Promise.all(
    [...sockets].map((socket) => new Promise((closed) => socket.once('close', closed))),
  );
  clearTimeout(cutOff);
}

/** Fails with `port_in_use`. Disposing ends the live feeds, lets what is being answered finish, and closes. */
export async function startGrpc(options: GrpcOptions, listen: ListenOptions): Promise<GrpcServer> {
  const stopping = new AbortController();
  const { app, log, healthPollMs } = options;
  const server = new Server(CHANNEL);
  addServices(server, { app, log, stopping: stopping.signal }, healthPollMs);
  // grpc-js tells of a port that it cannot have in words alone: the sockets are ours, and given to it.
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const sockets = new Set<Socket>();
  const take = (socket: Socket): void => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    injector.injectConnection(socket);
  };
  let listeners: readonly [NetServer, ...NetServer[]];
  try {
    listeners = await listenOn(listen, take);
  } catch (error) {
    server.forceShutdown();
    throw portFailure(error, listen, '--grpc-port');
  }
  return {
    address: addressOf(listeners[0]),
    [Symbol.asyncDispose]: async () => {
      stopping.abort();
      for (const one of listeners) one.close();
      await shutDown(server, sockets, listen.graceMs ?? GRACE_MS);
    },
  };
}
