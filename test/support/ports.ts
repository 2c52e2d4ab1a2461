/**
 * Ports for servers. Not of the range that the system gives to outgoing connections: such a port may be taken between
 * its choice and its use, and a client that tries it again and again may even come to talk to itself.
 */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

const FIRST = 10_000;
const PAST_LAST = 32_000;

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}

export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST, PAST_LAST);
    if (await isFree(port)) return port;
  }
}
