/** A port that answers a few addresses by GET, for probes and scrapers. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import { ForebayError } from '../core/errors.ts';

export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

export type Routes = Readonly<Record<string, () => Promise<Answer> | Answer>>;

const REQUEST_MS = 10_000;
const TEXT = 'text/plain; charset=utf-8';

export function jsonAnswer(status: number, document: unknown): Answer {
  return {
    status,
    type: 'application/json; charset=utf-8',
    body: `${JSON.stringify(document)}\n`,
  };
}

export function textAnswer(status: number, text: string): Answer {
  return { status, type: TEXT, body: `${text}\n` };
}

async function answerTo(request: IncomingMessage, routes: Routes): Promise<Answer> {
  if (request.method !== 'GET' && request.method !== 'HEAD') return textAnswer(405, 'only GET');
  const path = (request.url ?? '/').split('?')[0] ?? '/';
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
  if (route === undefined) {
    return textAnswer(404, `there is ${Object.keys(routes).join(', ')}`);
  }
  return await route();
}

async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  routes: Routes,
): Promise<void> {
  const { status, type, body } = await answerTo(request, routes);
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' });
  response.end(request.method === 'HEAD' ? undefined : body);
}

function portFailure(error: NodeJS.ErrnoException, purpose: string, port: number): ForebayError {
  const inUse = error.code === 'EADDRINUSE';
  return new ForebayError('port_in_use', {
    message: `${purpose}_port ${port} ${inUse ? 'is in use' : 'cannot be opened'}`,
    why: error.code ?? error.message,
    cause: error,
  });
}

/** Fails with `port_in_use`. Listens on all addresses: probes and scrapers come from other machines. */
export async function openPort(
  purpose: 'health' | 'metrics',
  port: number,
  routes: Routes,
): Promise<AsyncDisposable> {
  const server: Server = createServer((request, response) => {
    respond(request, response, routes).catch((error: unknown) => {
      response.destroy(error instanceof Error ? error : undefined);
    });
  });
  server.requestTimeout = REQUEST_MS;
  server.headersTimeout = REQUEST_MS;
  server.listen(port);
  try {
    await once(server, 'listening');
  } catch (error) {
    throw portFailure(error as NodeJS.ErrnoException, purpose, port);
  }
  // A connection that cannot be taken (no file descriptor is left) is the asker's loss, not the end of the service.
  server.on('error', () => {});
  return {
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
      await Promise.resolve();
    },
  };
}
