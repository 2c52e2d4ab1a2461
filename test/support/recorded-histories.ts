// Histories of flows that an earlier release has left behind.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

export const historiesFolder = join(import.meta.dirname, '..', 'fixtures', 'histories');
/** What they were sealed with; of nothing else. */
export const recordedKey = Buffer.alloc(32, 5).toString('base64');

export function recordedHistories(engine: 'embedded' | 'temporal'): readonly string[] {
  return readdirSync(historiesFolder).filter((name) => name.startsWith(`${engine}-`));
}
