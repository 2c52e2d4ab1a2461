/**
 * Transactions that the server sends before they are committed (protocol version 2). Their messages wait in
 * disposable files until the commit comes; after a crash the server sends them again, so nothing is synced.
 */
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ForebayError } from '../../core/errors.ts';
import { failpoint, failpointsArmed } from '../../core/failpoint.ts';

/** Kept in memory per transaction before a write to its file. */
const BUFFER_BYTES = 1024 * 1024;
const RECORD_HEADER_BYTES = 8;

function diskFailure(error: unknown, folder: string): ForebayError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
  return new ForebayError('disk_full', {
    message: `cannot spill a large transaction to ${folder}`,
    why: code,
    fix: 'Free space there or set TMPDIR to a larger disk, then run the same command again.',
    cause: error,
  });
}

class SpilledTransaction {
  readonly aborted = new Set<number>();
  readonly #path: string;
  #file: number | null = null;
  #fileBytes = 0;
  #pending: Buffer[] = [];
  #pendingBytes = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** Copies the message: the slab it lies in is reused. */
  add(subtransaction: number, messageBytes: Buffer): void {
    const record = Buffer.allocUnsafe(RECORD_HEADER_BYTES + messageBytes.length);
    record.writeUInt32BE(messageBytes.length, 0);
    record.writeUInt32BE(subtransaction, 4);
    messageBytes.copy(record, RECORD_HEADER_BYTES);
    this.#pending.push(record);
    this.#pendingBytes += record.length;
    if (this.#pendingBytes >= BUFFER_BYTES) this.#flush();
  }

  #flush(): void {
    try {
      this.#file ??= openSync(this.#path, 'w+', 0o600);
      const bytes = Buffer.concat(this.#pending);
      for (let at = 0; at < bytes.length;) at += writeSync(this.#file, bytes, at);
      this.#fileBytes += bytes.length;
    } catch (error) {
      throw diskFailure(error, this.#path);
    }
    this.#pending = [];
    this.#pendingBytes = 0;
  }

  /** Messages in the order they came, without those of aborted subtransactions. */
  *messages(): Generator<Buffer, void> {
    let rest: Buffer = Buffer.alloc(0);
    for (const piece of this.#pieces()) {
      const bytes = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
      let at = 0;
      while (bytes.length - at >= RECORD_HEADER_BYTES) {
        const end = at + RECORD_HEADER_BYTES + bytes.readUInt32BE(at);
        if (end > bytes.length) break;
        if (!this.aborted.has(bytes.readUInt32BE(at + 4))) {
          yield bytes.subarray(at + RECORD_HEADER_BYTES, end);
        }
        at = end;
      }
      rest = bytes.subarray(at);
    }
  }

  *#pieces(): Generator<Buffer, void> {
    if (this.#file !== null) {
      for (let at = 0; at < this.#fileBytes;) {
        const piece = Buffer.allocUnsafe(Math.min(BUFFER_BYTES, this.#fileBytes - at));
        const read = readSync(this.#file, piece, 0, piece.length, at);
        if (read <= 0) throw diskFailure(new Error('the file was cut'), this.#path);
        at += read;
        yield piece.subarray(0, read);
      }
    }
    yield* this.#pending;
  }

  remove(): void {
    if (this.#file !== null) closeSync(this.#file);
    rmSync(this.#path, { force: true });
  }
}

export class SpillFiles {
  #folder: string | null = null;
  readonly #transactions = new Map<number, SpilledTransaction>();

  get openTransactions(): number {
    return this.#transactions.size;
  }

  async beforeBlock(): Promise<void> {
    if (failpointsArmed) await failpoint('changes.spill');
  }

  add(transaction: number, subtransaction: number, messageBytes: Buffer): void {
    let spilled = this.#transactions.get(transaction);
    if (spilled === undefined) {
      this.#folder ??= mkdtempSync(join(tmpdir(), 'forebay-spill-'));
      spilled = new SpilledTransaction(join(this.#folder, String(transaction)));
      this.#transactions.set(transaction, spilled);
    }
    spilled.add(subtransaction, messageBytes);
  }

  abort(transaction: number, subtransaction: number): void {
    if (transaction === subtransaction) this.forget(transaction);
    else this.#transactions.get(transaction)?.aborted.add(subtransaction);
  }

  messages(transaction: number): Iterable<Buffer> {
    return this.#transactions.get(transaction)?.messages() ?? [];
  }

  forget(transaction: number): void {
    this.#transactions.get(transaction)?.remove();
    this.#transactions.delete(transaction);
  }

  dispose(): void {
    for (const transaction of this.#transactions.keys()) this.forget(transaction);
    if (this.#folder !== null) rmSync(this.#folder, { recursive: true, force: true });
    this.#folder = null;
  }
}
