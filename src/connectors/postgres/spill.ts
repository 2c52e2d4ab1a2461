/**
 * Transactions that the server sends before they are committed (protocol version 2). Their messages wait in
 * disposable files until the commit comes; after a crash the server sends them again, so nothing is synced.
 */
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ForebayError } from '../../core/errors.ts';
import { failpoint, failpointsArmed } from '../../core/failpoint.ts';

/** Kept in memory per transaction before a write to its file; less as long as it has less. */
const BUFFER_BYTES = 256 * 1024;
const FIRST_BUFFER_BYTES = 8 * 1024;
/** Length of the message, and the subtransaction that it belongs to, 4 bytes each. */
export const RECORD_HEADER_BYTES = 8;

function diskFailure(error: unknown, folder: string): ForebayError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
  return new ForebayError('disk_full', {
    message: `cannot spill a large transaction to ${folder}`,
    why: code,
    fix: 'Free space there or set TMPDIR to a larger disk, then run the same command again.',
    cause: error,
  });
}

function makeFolder(): string {
  try {
    return mkdtempSync(join(tmpdir(), 'forebay-spill-'));
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    if (why === 'ENOSPC') throw diskFailure(error, tmpdir());
    throw new ForebayError('spill_folder', {
      message: `the temporary folder ${tmpdir()} cannot hold a large transaction`,
      why,
      cause: error,
    });
  }
}

/** Messages in the order they came, each behind its header. */
export class SpilledTransaction {
  readonly aborted = new Set<number>();
  readonly #path: string;
  #file: number | null = null;
  #fileBytes = 0;
  #buffer = Buffer.allocUnsafeSlow(FIRST_BUFFER_BYTES);
  #used = 0;

  constructor(path: string) {
    this.#path = path;
  }

  get bytes(): number {
    return this.#fileBytes + this.#used;
  }

  /** Copies the message, a type and the slab's bytes from `start` on: the slab is reused. */
  add(
    subtransaction: number,
    kind: number,
    { slab, start, end }: { readonly slab: Buffer; readonly start: number; readonly end: number },
  ): void {
    const length = 1 + end - start;
    this.#makeRoom(RECORD_HEADER_BYTES + length);
    const buffer = this.#buffer;
    buffer.writeUInt32BE(length, this.#used);
    buffer.writeUInt32BE(subtransaction, this.#used + 4);
    buffer[this.#used + RECORD_HEADER_BYTES] = kind;
    slab.copy(buffer, this.#used + RECORD_HEADER_BYTES + 1, start, end);
    this.#used += RECORD_HEADER_BYTES + length;
  }

  /** Fills `into` with what comes from byte `from` on; returns how much there was. */
  read(into: Buffer, from: number): number {
    let filled = 0;
    while (filled < into.length && from + filled < this.#fileBytes) {
      filled += this.#readFile(into, filled, from + filled);
    }
    const inBuffer = from + filled - this.#fileBytes;
    if (inBuffer >= 0) filled += this.#buffer.copy(into, filled, inBuffer, this.#used);
    return filled;
  }

  remove(): void {
    if (this.#file !== null) closeSync(this.#file);
    rmSync(this.#path, { force: true });
  }

  #makeRoom(bytes: number): void {
    if (this.#used + bytes <= this.#buffer.length) return;
    if (this.#used + bytes > BUFFER_BYTES) this.#flush();
    if (this.#used + bytes <= this.#buffer.length && this.#buffer.length <= BUFFER_BYTES) return;
    // A buffer that was made for one large message is not kept.
    const wished = Math.min(this.#buffer.length * 4, BUFFER_BYTES);
    const larger = Buffer.allocUnsafeSlow(Math.max(wished, this.#used + bytes));
    this.#buffer.copy(larger, 0, 0, this.#used);
    this.#buffer = larger;
  }

  #flush(): void {
    try {
      this.#file ??= openSync(this.#path, 'w+', 0o600);
      for (let at = 0; at < this.#used;) {
        at += writeSync(this.#file, this.#buffer, at, this.#used - at);
      }
    } catch (error) {
      throw diskFailure(error, this.#path);
    }
    this.#fileBytes += this.#used;
    this.#used = 0;
  }

  #readFile(into: Buffer, at: number, from: number): number {
    if (this.#file === null) return 0;
    const length = Math.min(into.length - at, this.#fileBytes - from);
    const read = readSync(this.#file, into, at, length, from);
    if (read <= 0) throw diskFailure(new Error('the file was cut'), this.#path);
    return read;
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

  /** The one that messages of this transaction are added to. */
  open(transaction: number): SpilledTransaction {
    let spilled = this.#transactions.get(transaction);
    if (spilled === undefined) {
      this.#folder ??= makeFolder();
      spilled = new SpilledTransaction(join(this.#folder, String(transaction)));
      this.#transactions.set(transaction, spilled);
    }
    return spilled;
  }

  get(transaction: number): SpilledTransaction | null {
    return this.#transactions.get(transaction) ?? null;
  }

  abort(transaction: number, subtransaction: number): void {
    if (transaction === subtransaction) this.forget(transaction);
    else this.#transactions.get(transaction)?.aborted.add(subtransaction);
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
