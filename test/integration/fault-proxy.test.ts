import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

import { expect, test } from 'vitest';

import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { eventually } from '../support/wait.ts';

async function echoServer() {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no TCP address');
  return {
    port: address.port,
    [Symbol.dispose]: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

function dial({ port }: FaultProxy) {
  const socket = connect(port, '127.0.0.1');
  const seen = { text: '', error: '', closed: false };
  socket.setEncoding('utf8').on('data', (chunk: string) => (seen.text += chunk));
  socket.on('error', (error: NodeJS.ErrnoException) => (seen.error = error.code ?? ''));
  socket.on('close', () => (seen.closed = true));
  return { socket, seen, [Symbol.dispose]: () => void socket.destroy() };
}

test('passes bytes both ways and counts them', async () => {
  using echo = await echoServer();
  await using proxy = await startFaultProxy(echo.port);
  using client = dial(proxy);
  client.socket.write('hello');
  await eventually(() => client.seen.text === 'hello');
  expect(proxy.passed).toEqual({ toServer: 5, toClient: 5 });
});

test('a black hole keeps everything back and lets it through when healed', async () => {
  using echo = await echoServer();
  await using proxy = await startFaultProxy(echo.port);
  using client = dial(proxy);
  client.socket.write('a');
  await eventually(() => client.seen.text === 'a');
  proxy.blackhole();
  client.socket.write('b');
  using other = dial(proxy);
  await once(other.socket, 'connect');
  await eventually(() => proxy.connections === 2);
  expect([client.seen.text, proxy.passed.toServer]).toEqual(['a', 1]);
  proxy.heal();
  await eventually(() => client.seen.text === 'ab');
});

test('a cut closes open connections and refuses new ones until healed', async () => {
  using echo = await echoServer();
  await using proxy = await startFaultProxy(echo.port);
  using client = dial(proxy);
  await eventually(() => proxy.connections === 1);
  proxy.cut();
  await eventually(() => client.seen.closed);
  using refused = dial(proxy);
  await eventually(() => refused.seen.closed);
  expect(refused.seen.error).toBe('ECONNRESET');
  proxy.heal();
  using again = dial(proxy);
  again.socket.write('x');
  await eventually(() => again.seen.text === 'x');
});

test('a reset reaches the client as a reset', async () => {
  using echo = await echoServer();
  await using proxy = await startFaultProxy(echo.port);
  using client = dial(proxy);
  await eventually(() => proxy.connections === 1);
  proxy.reset();
  await eventually(() => client.seen.closed);
  expect(client.seen.error).toBe('ECONNRESET');
});

test('a limit passes exactly its bytes, then breaks', async () => {
  using echo = await echoServer();
  await using proxy = await startFaultProxy(echo.port);
  using client = dial(proxy);
  proxy.cutAfter(3);
  client.socket.write('abcdef');
  await eventually(() => client.seen.closed);
  expect(client.seen.text).toBe('abc');
});

test('latency delays each direction and keeps the order', async () => {
  using echo = await echoServer();
  await using proxy = await startFaultProxy(echo.port);
  using client = dial(proxy);
  await eventually(() => proxy.connections === 1);
  proxy.latency(100);
  const startedAt = performance.now();
  for (const letter of 'abc') client.socket.write(letter);
  await eventually(() => client.seen.text === 'abc');
  expect(performance.now() - startedAt).toBeGreaterThan(190);
});
