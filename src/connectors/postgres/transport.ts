/** Opening sockets: TCP or Unix, TLS as sslmode asks, and a probe that tells a slow server from a dead one. */
import { Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { ForebayError } from '../../core/errors.ts';
import { isLoopback, type PostgresConfig, printServer } from './config.ts';
import { socketFailure } from './errors.ts';
import { tlsFailure, tlsOptions } from './tls.ts';
import { sslRequest } from './wire.ts';

/** Bytes that a socket may buffer each way before it asks for a pause. */
const SOCKET_BUFFER_BYTES = 1024 * 1024;
const KEEPALIVE_MS = 15_000;
/** A server that is there answers a connection at once, however busy it is. */
const PROBE_MS = 8000;
const READ_BYTES = 256 * 1024;

function unreachable(config: PostgresConfig, why: string): ForebayError {
  return new ForebayError('unreachable', {
    message: `cannot reach PostgreSQL at ${printServer(config)}`,
    why,
  });
}

function interruptedWhileConnecting(): ForebayError {
  return new ForebayError('interrupted', { message: 'interrupted while connecting' });
}

/** An open connection. */
export interface Transport {
  readonly socket: Socket;
  /** Bytes as they come. With `borrowed` they are valid during the call only. */
  listen(receive: (bytes: Buffer) => void): void;
  readonly borrowed: boolean;
}

/** Reading into one buffer again and again spares an allocation per read, a tenth of a change stream's time. */
class ReusedBuffer {
  receive: (bytes: Buffer) => void = () => {};
  readonly options = {
    buffer: Buffer.allocUnsafeSlow(READ_BYTES),
    callback: (length: number, buffer: Uint8Array): boolean => {
      this.receive(Buffer.from(buffer.buffer, buffer.byteOffset, length));
      return true;
    },
  };
}

function openSocket(
  config: PostgresConfig,
  signal: AbortSignal,
  reused: ReusedBuffer | null = null,
): Promise<Socket> {
  const server = printServer(config);
  return new Promise((resolve, reject) => {
    const socket = new Socket({
      readableHighWaterMark: SOCKET_BUFFER_BYTES,
      writableHighWaterMark: SOCKET_BUFFER_BYTES,
      ...(reused === null ? {} : { onread: reused.options }),
    } as ConstructorParameters<typeof Socket>[0]);
    const finish = (error: Error | null): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      socket.removeAllListeners();
      if (error === null) {
        resolve(socket);
        return;
      }
      socket.on('error', () => {});
      socket.destroy();
      reject(error);
    };
    const onAbort = (): void => finish(interruptedWhileConnecting());
    const timer = setTimeout(
      () => finish(unreachable(config, `no answer within ${config.connectTimeoutMs} ms`)),
      config.connectTimeoutMs,
    );
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('error', (error) => {
      finish(error instanceof ForebayError ? error : socketFailure(error, server, false));
    });
    socket.once('connect', () => finish(null));
    if (signal.aborted) onAbort();
    else if (config.socketFolder === null) {
      const { lookup, port } = config;
      const host = config.host ?? 'localhost';
      socket.connect({ host, port, ...(lookup === null ? {} : { lookup }) });
      socket.setNoDelay(true);
      socket.setKeepAlive(true, KEEPALIVE_MS);
    } else socket.connect({ path: printServer(config) });
  });
}

/** Sends SSLRequest and reads the one byte of the answer. */
function askForTls(socket: Socket, config: PostgresConfig, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const finish = (act: () => void): void => {
      clearTimeout(timer);
      socket.removeAllListeners('data');
      socket.removeAllListeners('error');
      socket.removeAllListeners('close');
      signal.removeEventListener('abort', onAbort);
      socket.pause();
      act();
    };
    const onAbort = (): void => finish(() => reject(interruptedWhileConnecting()));
    signal.addEventListener('abort', onAbort, { once: true });
    const fail = (why: string): void => finish(() => reject(unreachable(config, why)));
    const timer = setTimeout(
      () => fail(`no answer within ${config.connectTimeoutMs} ms`),
      config.connectTimeoutMs,
    );
    socket.once('error', (error) => fail(error.message));
    socket.once('close', () => fail('the connection was closed during the handshake'));
    socket.once('data', (bytes: Buffer) => {
      // More than one byte before TLS begins would be text slipped in by someone in the middle (CVE-2021-23222).
      if (bytes.length === 1 && bytes[0] === 0x53) finish(() => resolve(true));
      else if (bytes.length === 1 && bytes[0] === 0x4e) finish(() => resolve(false));
      else fail('the answer is not that of a PostgreSQL server');
    });
    socket.write(sslRequest());
  });
}

function startTls(
  socket: Socket,
  config: PostgresConfig,
  options: ConnectionOptions,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const secure = connectTls({ socket, ...options });
    const fail = (error: Error): void => {
      clearTimeout(timer);
      secure.on('error', () => {});
      secure.destroy();
      reject(tlsFailure(error, config));
    };
    const timer = setTimeout(() => fail(new Error('no answer in time')), config.connectTimeoutMs);
    secure.once('error', fail);
    secure.once('secureConnect', () => {
      clearTimeout(timer);
      secure.removeListener('error', fail);
      resolve(secure);
    });
  });
}

function streamed(socket: Socket): Transport {
  return {
    socket,
    borrowed: false,
    listen: (receive) => {
      socket.on('data', receive);
    },
  };
}

function borrowing(socket: Socket, reused: ReusedBuffer): Transport {
  const listen = (receive: (bytes: Buffer) => void): void => {
    reused.receive = receive;
  };
  return { socket, borrowed: true, listen };
}

async function openPlain(config: PostgresConfig, signal: AbortSignal): Promise<Transport> {
  const reused = new ReusedBuffer();
  const socket = await openSocket(config, signal, reused);
  // The address that was reached decides, for a name may lead anywhere.
  if (config.tokens !== null && config.socketFolder === null && !isLoopback(socket.remoteAddress)) {
    socket.on('error', () => {});
    socket.destroy();
    throw new ForebayError('plain_connection', {
      message: `the access token is not sent to ${printServer(config)}: the connection has no TLS`,
    });
  }
  return borrowing(socket, reused);
}

/** A handshake that failed leaves no socket open. */
async function destroyedOnFailure<T>(socket: Socket, act: Promise<T>): Promise<T> {
  try {
    return await act;
  } catch (error) {
    socket.on('error', () => {});
    socket.destroy();
    throw error;
  }
}

/** A connection on which the startup message may be sent. */
export async function openTransport(
  config: PostgresConfig,
  signal: AbortSignal,
): Promise<Transport> {
  if (config.sslMode === 'disable' || config.socketFolder !== null)
    return openPlain(config, signal);
  const options = tlsOptions(config);
  const socket = await openSocket(config, signal);
  const offered = await destroyedOnFailure(socket, askForTls(socket, config, signal));
  if (offered) return streamed(await startTls(socket, config, options));
  socket.destroy();
  // A socket cannot change how it reads, so the one that asked is not used.
  if (config.sslMode === 'prefer') return openPlain(config, signal);
  throw new ForebayError('tls_refused', {
    message: `${printServer(config)} does not offer TLS, but sslmode=${config.sslMode} wants it`,
    fix: 'Switch ssl on in postgresql.conf, or give sslmode=disable knowingly.',
  });
}

/** True if the server still answers a new connection. */
export async function probe(given: PostgresConfig): Promise<boolean> {
  const config = { ...given, connectTimeoutMs: Math.min(given.connectTimeoutMs, PROBE_MS) };
  const abort = new AbortController();
  try {
    const socket = await openSocket(config, abort.signal);
    try {
      await askForTls(socket, config, abort.signal);
      return true;
    } finally {
      socket.on('error', () => {});
      socket.destroy();
    }
  } catch {
    // Whatever the reason, a server that cannot be asked is not there; the caller reports its own failure.
    return false;
  }
}
