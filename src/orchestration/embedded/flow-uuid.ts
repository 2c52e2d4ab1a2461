import { createHash } from 'node:crypto';
import { uuidv7Of } from '../../core/uuid.ts';

/** Comes out the same each time the run is replayed: what is random elsewhere is a hash of the run and a count. */
export function flowUuid(runId: string, count: number, nowMs: number): string {
  const bytes = createHash('sha256').update(`${runId}:${count}`).digest().subarray(0, 16);
  return uuidv7Of(bytes, nowMs);
}
