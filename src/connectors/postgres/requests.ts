/** What a connection does with the server's messages while a request is under way. */
import type { Socket } from 'node:net';
import type { ForebayError } from '../../core/errors.ts';
import { CopyIn, CopyOut } from './copy.ts';
import { serverFailure } from './errors.ts';
import { message, readDataRow, readRowDescription, readServerError, rowsOfTag } from './wire.ts';

export interface QueryResult {
  readonly columns: string[];
  readonly rows: (string | null)[][];
  readonly rowCount: number;
  readonly tag: string;
}

/** A request has ended when ReadyForQuery (`Z`) has come. */
export interface Request {
  message(type: string, body: Buffer): void;
  frames?(bytes: Buffer): void;
  fail(error: ForebayError): void;
}

/** Where the bytes of a CopyBoth stream go. */
export interface CopyBothReceiver {
  frames(bytes: Buffer): void;
  /** The stream is over; null after our own CopyDone. */
  ended(error: ForebayError | null): void;
}

export interface CopyRequest<T> {
  readonly value: T;
  frames(bytes: Buffer): void;
  /** The server refused what it was sent; ReadyForQuery is still to come. */
  early?(error: ForebayError): void;
  done(tag: string, error: ForebayError | null): void;
}

/** Rows of the last statement, as text. */
export function collectResult(
  resolve: (result: QueryResult) => void,
  reject: (error: ForebayError) => void,
): Request {
  let columns: string[] = [];
  let rows: (string | null)[][] = [];
  let tag = '';
  let error: ForebayError | null = null;
  return {
    fail: reject,
    message: (type, body) => {
      if (type === 'T') {
        columns = readRowDescription(body);
        rows = [];
      } else if (type === 'D') rows.push(readDataRow(body));
      else if (type === 'C') tag = body.toString('utf8', 0, body.length - 1);
      else if (type === 'E') {
        error ??= serverFailure(readServerError(body), 'the server refused a statement');
      } else if (type === 'Z') {
        if (error === null) resolve({ columns, rows, rowCount: rowsOfTag(tag), tag });
        else reject(error);
      }
    },
  };
}

export function openCopyOut(socket: Socket): CopyRequest<CopyOut> {
  const out = new CopyOut({ pause: () => socket.pause(), resume: () => socket.resume() });
  return {
    value: out,
    frames: (bytes) => out.push(bytes),
    done: (tag, error) => {
      if (error === null) out.end(rowsOfTag(tag));
      else out.fail(error);
    },
  };
}

export function openCopyIn(socket: Socket): CopyRequest<CopyIn> {
  const finished = Promise.withResolvers<number>();
  // A failure may come before anyone waits for the end; it is then thrown by the next write.
  finished.promise.catch(() => {});
  let failure: ForebayError | null = null;
  const port = {
    write: (bytes: Uint8Array): Promise<void> =>
      new Promise((resolve, reject) => {
        // What failed is told by `early` or `done`; a socket that is gone tells it there too.
        socket.write(bytes, () => (failure === null ? resolve() : reject(failure)));
      }),
    finish: (reason: string | null): Promise<number> => {
      if (failure === null) socket.write(reason === null ? message('c') : message('f', reason));
      return finished.promise;
    },
  };
  return {
    value: new CopyIn(port),
    frames: () => {},
    early: (error) => {
      failure = error;
    },
    done: (tag, error) => {
      failure = error;
      if (error === null) finished.resolve(rowsOfTag(tag));
      else finished.reject(error);
    },
  };
}

export function openCopyBoth(
  socket: Socket,
  receiver: CopyBothReceiver,
): CopyRequest<(payload: Buffer) => void> {
  return {
    value: (payload) => {
      if (!socket.destroyed) socket.write(message('d', payload));
    },
    frames: (bytes) => receiver.frames(bytes),
    done: (_tag, error) => receiver.ended(error),
  };
}
