/** Tells when a file has other content, however it was put there (written, renamed over, a link turned), or is gone. */
import { createHash } from 'node:crypto';
import { type FSWatcher, readFileSync, realpathSync, statSync, watch } from 'node:fs';
import { dirname } from 'node:path';

/** Events of the file system may be missed (network mounts); this often the file is looked at anyway. */
const LOOK_MS = 1000;
/** Unchanged for this long, it is taken as written to its end. */
const STILL_MS = 100;
/** Replacing a file by hand may leave it away for a moment; after this long it is gone, and that is told as well. */
const GONE_MS = 1000;

/** Where the file is and what the file system says of it; null while it is not there. */
function signatureOf(path: string): string | null {
  try {
    const real = realpathSync(path);
    const { ino, size, mtimeNs } = statSync(real, { bigint: true });
    return `${real} ${ino} ${size} ${mtimeNs}`;
  } catch {
    // Gone for a moment while it is replaced, or for good: either way there is nothing to read now.
    return null;
  }
}

function hashOf(path: string): string | null {
  try {
    return createHash('sha256').update(readFileSync(path)).digest('hex');
  } catch {
    return null;
  }
}

export class FileWatch implements Disposable {
  readonly #path: string;
  readonly #changed: () => void;
  readonly #timer: NodeJS.Timeout;
  #watchers: FSWatcher[] = [];
  #still: NodeJS.Timeout | null = null;
  #signature: string | null;
  /** Null while it cannot be read. */
  #hash: string | null;

  /** `hash` is that of the content in use: another file with the same content changes nothing. */
  constructor(path: string, hash: string, changed: () => void) {
    this.#path = path;
    this.#changed = changed;
    this.#signature = signatureOf(path);
    this.#hash = hash;
    this.#watchFolders();
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
    // It may have changed between reading and watching.
    this.#wait();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    if (this.#still !== null) clearTimeout(this.#still);
    for (const watcher of this.#watchers) watcher.close();
  }

  #watchFolders(): void {
    for (const watcher of this.#watchers) watcher.close();
    const folders = new Set([dirname(this.#path)]);
    try {
      folders.add(dirname(realpathSync(this.#path)));
    } catch {
      // Not there now: the look that finds it again watches its folder.
    }
    this.#watchers = [...folders].flatMap((folder) => {
      try {
        const watcher = watch(folder, { persistent: false }, () => this.#look());
        watcher.on('error', () => {});
        return [watcher];
      } catch {
        // Without events (too many watches, a file system without them) the regular look finds changes.
        return [];
      }
    });
  }

  #look(): void {
    const signature = signatureOf(this.#path);
    if (signature === this.#signature) return;
    this.#signature = signature;
    this.#watchFolders();
    this.#wait();
  }

  #wait(): void {
    if (this.#still !== null) clearTimeout(this.#still);
    const stillMs = this.#signature === null ? GONE_MS : STILL_MS;
    this.#still = setTimeout(() => this.#settle(), stillMs);
  }

  #settle(): void {
    this.#still = null;
    const signature = signatureOf(this.#path);
    if (signature !== this.#signature) {
      this.#signature = signature;
      this.#wait();
      return;
    }
    const hash = hashOf(this.#path);
    if (hash === this.#hash) return;
    this.#hash = hash;
    this.#changed();
  }
}
