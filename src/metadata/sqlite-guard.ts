import { setTimeout as wait } from 'node:timers/promises';
import { ForebayError } from '../core/errors.ts';

/** Result codes of SQLite; extended ones have them in their lowest byte. */
const BUSY = 5;
const FULL = 13;
/** Read-only, I/O, damaged, cannot be opened, no database. */
const UNUSABLE = new Set([8, 10, 11, 14, 26]);
const LONGEST_WAIT_MS = 5000;
const LONGEST_PAUSE_MS = 50;

function resultCode(error: unknown): number | null {
  if (!(error instanceof Error && 'errcode' in error)) return null;
  return typeof error.errcode === 'number' ? error.errcode & 0xff : null;
}

/** Waits for another process that writes, without holding up this one: a busy statement has done nothing yet. */
export async function whileBusy<T>(act: () => T): Promise<T> {
  const until = performance.now() + LONGEST_WAIT_MS;
  for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    try {
      return act();
    } catch (error) {
      if (resultCode(error) !== BUSY || performance.now() > until) throw sqliteFailure(error);
    }
    await wait(pauseMs);
  }
}

/** What is left as it is concerns the statement: a key that is taken, or a bug. */
export function sqliteFailure(error: unknown): unknown {
  const code = resultCode(error);
  const why = error instanceof Error ? error.message : String(error);
  if (code === BUSY)
    return new ForebayError('metadata_unreachable', {
      message: `another process has held the metadata file for ${LONGEST_WAIT_MS / 1000} s`,
      why,
      fix: 'See which process it is; what was asked for can be sent again.',
      cause: error,
    });
  if (code === FULL)
    return new ForebayError('metadata_full', {
      message: 'the metadata file cannot grow',
      why,
      cause: error,
    });
  if (code !== null && UNUSABLE.has(code))
    return new ForebayError('metadata_unreadable', {
      message: 'the metadata file cannot be used',
      why,
      cause: error,
    });
  return error;
}
