// A caller of gRPC who has nothing but the published .proto files.
import { globSync } from 'node:fs';
import { join } from 'node:path';

import {
  type ClientReadableStream,
  Client,
  credentials,
  Metadata,
  type MethodDefinition,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

const FOLDER = join(import.meta.dirname, '..', '..', 'proto');

// Tests look into answers of every shape.
// oxlint-disable-next-line typescript/no-explicit-any
type any_ = any;

type Request = Readonly<Record<string, unknown>>;
type Method = MethodDefinition<any_, any_>;

/** Of all services, by `Service/Method`, without the package of ours. */
export function publishedMethods(): Map<string, Method> {
  const files = globSync('**/*.proto', { cwd: FOLDER });
  const definitions = loadSync(files, {
    includeDirs: [FOLDER],
    keepCase: true,
    longs: Number,
    enums: String,
  });
  const methods = new Map<string, Method>();
  for (const definition of Object.values(definitions)) {
    if ('format' in definition) continue;
    for (const method of Object.values(definition)) {
      methods.set(method.path.replace(/^\/(?:forebay\.v1\.)?/, ''), method);
    }
  }
  return methods;
}

export interface Answered {
  readonly code: status;
  readonly details: string;
  /** Undefined for a refusal. */
  readonly message: any_;
  /** Initial metadata. */
  readonly head: Readonly<Record<string, unknown>>;
  /** Trailing metadata of a refusal. */
  readonly trail: Readonly<Record<string, unknown>>;
  /** That of the trailing metadata, parsed. */
  readonly problem: any_;
}

export interface Following extends Disposable {
  /** Resolves when the feed is open. */
  readonly opened: Promise<void>;
  /** The next message; null when it has ended. */
  next(): Promise<any_>;
  /** How it ended. */
  readonly ended: Promise<Answered>;
  readonly call: ClientReadableStream<any_>;
}

export interface GrpcClient extends Disposable {
  /** The signal gives it up. */
  ask(
    method: string,
    request?: Request,
    token?: string | null,
    signal?: AbortSignal,
  ): Promise<Answered>;
  follow(method: string, request?: Request, token?: string | null): Following;
}

function metadataOf(token: string | null): Metadata {
  const metadata = new Metadata();
  if (token !== null) metadata.set('authorization', `Bearer ${token}`);
  return metadata;
}

function answered(error: ServiceError | null, message: unknown, head: Metadata | null): Answered {
  const trail = error?.metadata?.getMap() ?? {};
  const problem = trail['forebay-problem-bin'];
  return {
    code: error?.code ?? status.OK,
    details: error?.details ?? '',
    message,
    head: head?.getMap() ?? {},
    trail,
    problem: problem === undefined ? undefined : JSON.parse(problem.toString()),
  };
}

/** `token` is that of calls that bring none. */
export function grpcClient(address: string, token: string | null = null): GrpcClient {
  const methods = publishedMethods();
  const client = new Client(address, credentials.createInsecure());
  const methodOf = (name: string): Method => {
    const method = methods.get(name);
    if (method === undefined) throw new Error(`there is no ${name}`);
    return method;
  };
  const partsOf = (name: string) => {
    const { path, requestSerialize, responseDeserialize } = methodOf(name);
    return [path, requestSerialize, responseDeserialize] as const;
  };
  return {
    ask: async (name, request = {}, own = token, signal) => {
      const { promise, resolve } = Promise.withResolvers<Answered>();
      let head: Metadata | null = null;
      const call = client.makeUnaryRequest(
        ...partsOf(name),
        request,
        metadataOf(own),
        (error, message) => resolve(answered(error, message, head)),
      );
      call.on('metadata', (metadata: Metadata) => (head = metadata));
      signal?.addEventListener('abort', () => call.cancel());
      return promise;
    },
    follow: (name, request = {}, own = token) => {
      const call = client.makeServerStreamRequest(...partsOf(name), request, metadataOf(own));
      const opened = Promise.withResolvers<void>();
      const ended = Promise.withResolvers<Answered>();
      let head: Metadata | null = null;
      call.on('metadata', (metadata: Metadata) => {
        head = metadata;
        opened.resolve();
      });
      call.on('error', (error: ServiceError) => ended.resolve(answered(error, undefined, head)));
      call.on('end', () => ended.resolve(answered(null, undefined, head)));
      const next = async (): Promise<unknown> => {
        for (;;) {
          const message: unknown = call.read();
          if (message !== null) return message;
          const { promise, resolve } = Promise.withResolvers<'more'>();
          call.once('readable', () => resolve('more'));
          if ((await Promise.race([promise, ended.promise])) !== 'more') return null;
        }
      };
      return {
        opened: opened.promise,
        next,
        ended: ended.promise,
        call,
        [Symbol.dispose]: () => call.cancel(),
      };
    },
    [Symbol.dispose]: () => client.close(),
  };
}
