/** Whether a destination did what it was given, by its own count of the rows that changed. */
import { ForebayError } from './errors.ts';
import { ACT_SKIP, type FoldedRows } from './folded-rows.ts';
import type { StreamId } from './stream-schema.ts';

/** Rows that a write has to account for: applied, filtered, missing or dead-lettered. */
export function rowsHanded(rows: FoldedRows): number {
  if (rows.kind === 'truncate' || rows.kind === 'rekey') return 1;
  let count = 0;
  for (const { actions } of rows.parts) {
    for (const action of actions) if (action !== ACT_SKIP) count += 1;
  }
  return count;
}

/** To be called before the commit: rows that something at the destination swallows must not pass for written. */
export function assertMoved(
  stream: StreamId,
  handed: number,
  result: {
    readonly applied: number;
    readonly deadLettered: number;
    readonly filtered?: number;
    readonly missing?: readonly { readonly rows: readonly number[] }[];
  },
): void {
  const missing = result.missing?.reduce((sum, { rows }) => sum + rows.length, 0) ?? 0;
  const others = (result.filtered ?? 0) + result.deadLettered + missing;
  const told = result.applied + others;
  if (told === handed) return;
  throw new ForebayError('destination_unmoved', {
    message: `the destination of ${stream} took ${result.applied} of ${handed - others} rows, and refused none of the others`,
    why: 'a trigger, a rule or a policy of its table swallows rows',
    fix: 'Take it off the table, then run the same command again: nothing of what failed was committed.',
    stream,
  });
}
