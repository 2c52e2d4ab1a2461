/**
 * Messages of the pgoutput plugin, read where they lie in a slab. Format: PostgreSQL documentation, "Logical
 * Replication Message Formats", protocol versions 1 and 2.
 */
import { ForebayError } from '../../core/errors.ts';

export const MSG_BEGIN = 0x42;
export const MSG_COMMIT = 0x43;
export const MSG_ORIGIN = 0x4f;
export const MSG_RELATION = 0x52;
export const MSG_TYPE = 0x59;
export const MSG_INSERT = 0x49;
export const MSG_UPDATE = 0x55;
export const MSG_DELETE = 0x44;
export const MSG_TRUNCATE = 0x54;
export const MSG_LOGICAL = 0x4d;
export const MSG_STREAM_START = 0x53;
export const MSG_STREAM_STOP = 0x45;
export const MSG_STREAM_COMMIT = 0x63;
export const MSG_STREAM_ABORT = 0x41;

/** Microseconds between 1970-01-01 and PostgreSQL's epoch 2000-01-01. */
const EPOCH_MICROS = 946_684_800_000_000n;

export interface RelationColumn {
  readonly name: string;
  readonly typeOid: number;
  readonly typmod: number;
}

export interface RelationMessage {
  readonly oid: string;
  readonly namespace: string;
  readonly name: string;
  readonly columns: readonly RelationColumn[];
}

function cString(bytes: Buffer, at: number): { text: string; next: number } {
  const end = bytes.indexOf(0, at);
  if (end < 0) throw new ForebayError('protocol', { message: 'unterminated text in a message' });
  return { text: bytes.toString('utf8', at, end), next: end + 1 };
}

/** `at` stands after the message's type byte (and, inside a stream block, after the transaction id). */
export function readRelation(bytes: Buffer, at: number): RelationMessage {
  const oid = bytes.readUInt32BE(at);
  const namespace = cString(bytes, at + 4);
  const name = cString(bytes, namespace.next);
  // Replica identity, one byte: what it means for our key is read from the catalog.
  let next = name.next + 1;
  const count = bytes.readUInt16BE(next);
  next += 2;
  const columns: RelationColumn[] = [];
  for (let i = 0; i < count; i += 1) {
    const column = cString(bytes, next + 1);
    columns.push({
      name: column.text,
      typeOid: bytes.readUInt32BE(column.next),
      typmod: bytes.readInt32BE(column.next + 4),
    });
    next = column.next + 8;
  }
  // The empty namespace is how the protocol writes pg_catalog.
  return { oid: String(oid), namespace: namespace.text || 'pg_catalog', name: name.text, columns };
}

export interface BeginMessage {
  /** Start of the commit record. */
  readonly commitLsn: bigint;
  readonly committedAtMicros: bigint;
  readonly xid: number;
}

export function readBegin(bytes: Buffer, at: number): BeginMessage {
  return {
    commitLsn: bytes.readBigUInt64BE(at),
    committedAtMicros: bytes.readBigInt64BE(at + 8) + EPOCH_MICROS,
    xid: bytes.readUInt32BE(at + 16),
  };
}

/** End of the commit record: the place from which to go on. */
export function readCommitEnd(bytes: Buffer, at: number): bigint {
  return bytes.readBigUInt64BE(at + 9);
}

export interface StreamCommitMessage extends BeginMessage {
  readonly endLsn: bigint;
}

export function readStreamCommit(bytes: Buffer, at: number): StreamCommitMessage {
  return {
    xid: bytes.readUInt32BE(at),
    commitLsn: bytes.readBigUInt64BE(at + 5),
    endLsn: bytes.readBigUInt64BE(at + 13),
    committedAtMicros: bytes.readBigInt64BE(at + 21) + EPOCH_MICROS,
  };
}

export function readTruncate(bytes: Buffer, at: number): string[] {
  const count = bytes.readInt32BE(at);
  const oids: string[] = [];
  for (let i = 0; i < count; i += 1) oids.push(String(bytes.readUInt32BE(at + 5 + 4 * i)));
  return oids;
}

const KIND_NULL = 0x6e;
const KIND_UNCHANGED = 0x75;
const KIND_TEXT = 0x74;
const KIND_BINARY = 0x62;

/**
 * Reads a TupleData into `cells` (offset, length per column of the message) and returns where it ends.
 * `expected` is how many columns the relation has.
 */
export function readTuple(
  bytes: Buffer,
  start: number,
  cells: Int32Array,
  expected: number,
): number {
  const count = ((bytes[start] ?? 0) << 8) | (bytes[start + 1] ?? 0);
  if (count !== expected) {
    throw new ForebayError('protocol', {
      message: `a row of ${count} columns where ${expected} were announced`,
    });
  }
  let at = start + 2;
  for (let word = 0; word < count * 2; word += 2) {
    const kind = bytes[at];
    at += 1;
    if (kind === KIND_TEXT || kind === KIND_BINARY) {
      const length =
        ((bytes[at] ?? 0) << 24) |
        ((bytes[at + 1] ?? 0) << 16) |
        ((bytes[at + 2] ?? 0) << 8) |
        (bytes[at + 3] ?? 0);
      at += 4;
      if (length < 0 || at + length > bytes.length) {
        throw new ForebayError('protocol', {
          message: `a value of impossible length ${length} in a row`,
        });
      }
      cells[word] = at;
      cells[word + 1] = length;
      at += length;
    } else if (kind === KIND_NULL) {
      cells[word] = 0;
      cells[word + 1] = -1;
    } else if (kind === KIND_UNCHANGED) {
      cells[word] = 0;
      cells[word + 1] = -2;
    } else {
      throw new ForebayError('protocol', { message: `unknown column kind ${kind ?? -1} in a row` });
    }
  }
  return at;
}
