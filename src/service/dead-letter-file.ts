/** Dead letters as lines of JSON in files named by date. On the disk before the data's checkpoint commits. */
import { mkdir, open, type FileHandle } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { ForebayError } from '../core/errors.ts';
import { dateName } from './date-name.ts';

export interface DeadLetterFileOptions {
  /** With date codes; relative paths start at `folder`. */
  readonly pattern: string;
  readonly folder: string;
  readonly now?: () => Date;
}

function failure(error: unknown, path: string): ForebayError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
  const full = code === 'ENOSPC' || code === 'EDQUOT';
  return new ForebayError(full ? 'disk_full' : 'dead_letter_file', {
    message: full ? `no space is left for ${path}` : `${path} cannot be written`,
    why: code,
    cause: error,
  });
}

export class DeadLetterFile implements AsyncDisposable {
  readonly #options: DeadLetterFileOptions;
  #open: { readonly path: string; readonly file: FileHandle } | null = null;
  /** One write after the other: lines of two are not mixed, and a file is opened once. */
  #last: Promise<void> = Promise.resolve();

  constructor(options: DeadLetterFileOptions) {
    this.#options = options;
  }

  /** Resolves when the lines are on the disk. Fails with `disk_full` or `dead_letter_file`. */
  write(letters: readonly Readonly<Record<string, unknown>>[]): Promise<void> {
    const done = this.#last.then(() => this.#append(letters));
    this.#last = done.catch(() => {});
    return done;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#last;
    await this.#open?.file.close();
    this.#open = null;
  }

  async #append(letters: readonly Readonly<Record<string, unknown>>[]): Promise<void> {
    if (letters.length === 0) return;
    const { pattern, folder, now = () => new Date() } = this.#options;
    const path = resolve(folder, dateName(pattern, now()));
    const text = letters.map((letter) => `${JSON.stringify(letter)}\n`).join('');
    try {
      const file = await this.#fileOf(path);
      const { size } = await file.stat();
      try {
        await file.appendFile(text);
        await file.datasync();
      } catch (error) {
        // No torn line is left where that can be helped; why it could not be written is what is told.
        await file.truncate(size).catch(() => {});
        throw error;
      }
    } catch (error) {
      throw failure(error, path);
    }
  }

  async #fileOf(path: string): Promise<FileHandle> {
    if (this.#open?.path === path) return this.#open.file;
    await this.#open?.file.close();
    this.#open = null;
    await mkdir(dirname(path), { recursive: true });
    const file = await open(path, 'a', 0o600);
    this.#open = { path, file };
    return file;
  }
}
