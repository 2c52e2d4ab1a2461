/** Messages of PostgreSQL's frontend/backend protocol 3.0: building and reading, no I/O. */
import type { ServerError } from './errors.ts';

export const PROTOCOL_VERSION = 196_608;
export const SSL_REQUEST = 80_877_103;

export function message(type: string, ...parts: readonly (Buffer | string)[]): Buffer {
  const body = parts.map((part) => (typeof part === 'string' ? Buffer.from(`${part}\0`) : part));
  const length = body.reduce((sum, part) => sum + part.length, 4);
  const head = Buffer.alloc(5);
  head.write(type, 0, 'latin1');
  head.writeInt32BE(length, 1);
  return Buffer.concat([head, ...body]);
}

export function startupMessage(parameters: Readonly<Record<string, string>>): Buffer {
  const pairs = Object.entries(parameters).flatMap(([key, value]) => [`${key}\0`, `${value}\0`]);
  const body = Buffer.from(`${pairs.join('')}\0`);
  const head = Buffer.alloc(8);
  head.writeInt32BE(body.length + 8, 0);
  head.writeInt32BE(PROTOCOL_VERSION, 4);
  return Buffer.concat([head, body]);
}

export function sslRequest(): Buffer {
  const request = Buffer.alloc(8);
  request.writeInt32BE(8, 0);
  request.writeInt32BE(SSL_REQUEST, 4);
  return request;
}

const int16 = (value: number): Buffer => {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
};

const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};

/** A string goes as text, a Buffer as the type's binary form. */
export type QueryParameter = string | Buffer | null;

/** Parse, Bind, Describe, Execute, Sync in one go; results as text. */
export function extendedQuery(sql: string, parameters: readonly QueryParameter[]): Buffer {
  const formats = parameters.map((value) => int16(Buffer.isBuffer(value) ? 1 : 0));
  const values = parameters.flatMap((value) => {
    if (value === null) return [int32(-1)];
    const bytes = Buffer.isBuffer(value) ? value : Buffer.from(value);
    return [int32(bytes.length), bytes];
  });
  return Buffer.concat([
    message('P', '', sql, int16(0)),
    message(
      'B',
      '',
      '',
      int16(formats.length),
      ...formats,
      int16(parameters.length),
      ...values,
      int16(0),
    ),
    message('D', Buffer.from('P'), ''),
    message('E', '', int32(0)),
    message('S'),
  ]);
}

/** Reads the fields of an ErrorResponse or NoticeResponse body. */
export function readServerError(body: Buffer): ServerError {
  const fields = new Map<string, string>();
  let at = 0;
  while (at < body.length && body[at] !== 0) {
    const end = body.indexOf(0, at + 1);
    if (end < 0) break;
    fields.set(String.fromCharCode(body[at] ?? 0), body.toString('utf8', at + 1, end));
    at = end + 1;
  }
  return {
    sqlState: fields.get('C') ?? 'XX000',
    message: fields.get('M') ?? 'unknown error',
    hint: fields.get('H') ?? null,
    constraint: fields.get('n') ?? null,
    column: fields.get('c') ?? null,
    table: fields.get('t') ?? null,
    routine: fields.get('R') ?? null,
  };
}

export function readRowDescription(body: Buffer): string[] {
  const count = body.readInt16BE(0);
  const names: string[] = [];
  let at = 2;
  for (let i = 0; i < count; i += 1) {
    const end = body.indexOf(0, at);
    names.push(body.toString('utf8', at, end));
    at = end + 1 + 18;
  }
  return names;
}

export function readDataRow(body: Buffer): (string | null)[] {
  const count = body.readInt16BE(0);
  const row: (string | null)[] = [];
  let at = 2;
  for (let i = 0; i < count; i += 1) {
    const length = body.readInt32BE(at);
    at += 4;
    row.push(length < 0 ? null : body.toString('utf8', at, at + length));
    if (length > 0) at += length;
  }
  return row;
}

/** Rows of a command tag such as `COPY 42` or `INSERT 0 42`; 0 where it has none. */
export function rowsOfTag(tag: string): number {
  const match = /(\d+)$/.exec(tag);
  return match ? Number(match[1]) : 0;
}
