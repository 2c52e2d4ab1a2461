// A fake: answers what a test says, for what a real server cannot be brought to answer.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface AnsweringServer extends AsyncDisposable {
  readonly url: string;
  readonly requests: readonly IncomingMessage[];
}

type Answering = (request: IncomingMessage, response: ServerResponse, count: number) => void;

/** `count` is 1 for the first request. */
export async function answeringServer(answer: Answering): Promise<AnsweringServer> {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    request.resume();
    request.on('end', () => answer(request, response, requests.length));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // Of a TCP server.
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
