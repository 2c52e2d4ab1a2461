/** One write of the engine to one stream. */
import type { WriteResult } from '../../core/connector.ts';
import { ACT_SKIP, type FoldedPart, type FoldedRows } from '../../core/folded-rows.ts';
import { applyAppend, placeInTransactions } from './apply-append.ts';
import { applyKeyed } from './apply-keyed.ts';
import { applyMultiset } from './apply-multiset.ts';
import { applyRekey, applyTruncate } from './apply-rekey.ts';
import {
  type DeadLetterWriter,
  keyText,
  keyValues,
  type OpenLetters,
  outdateLetters,
} from './dead-letters.ts';
import type { WriteContext } from './lane.ts';

export interface Letters {
  readonly letters: DeadLetterWriter;
  readonly open: OpenLetters;
}

async function applyRows(
  context: WriteContext,
  rows: FoldedRows,
  letters: DeadLetterWriter,
): Promise<WriteResult> {
  switch (rows.kind) {
    case 'keyed':
      return applyKeyed(context, rows.parts, letters);
    case 'multiset':
      return applyMultiset(context, rows.parts, letters);
    case 'append':
      return applyAppend(
        context,
        { parts: rows.parts, place: placeInTransactions(rows.transactions) },
        letters,
      );
    case 'rekey':
      return applyRekey(context, rows, letters);
    case 'truncate':
      await applyTruncate(context);
      return { applied: 1, deadLettered: 0, missing: [] };
  }
}

function touchedKeys(
  parts: readonly FoldedPart[],
  keys: ReadonlySet<string>,
  letters: DeadLetterWriter,
): string[] {
  const touched = new Set<string>();
  for (const { batch, actions } of parts) {
    for (let row = 0; row < batch.rowCount; row++) {
      if (actions[row] === ACT_SKIP || letters.isRejected(batch, row)) continue;
      const key = keyText(keyValues(batch, row));
      if (key !== null && keys.has(key)) touched.add(key);
    }
  }
  return [...touched];
}

/** Letters of rows that this write changed are no longer the last word on them. */
async function outdate(
  context: WriteContext,
  rows: FoldedRows,
  before: ReadonlySet<string>,
  letters: DeadLetterWriter,
): Promise<void> {
  const { lane, pipeline, target } = context;
  const place = { connection: lane.connection, pipeline, target };
  if (rows.kind === 'truncate') await outdateLetters(place, null);
  if (rows.kind === 'rekey' && !letters.isRejected(rows.batch, rows.after)) {
    const keys = [rows.before, rows.after].flatMap(
      (row) => keyText(keyValues(rows.batch, row)) ?? [],
    );
    await outdateLetters(place, keys);
  }
  if (rows.kind !== 'keyed') return;
  const touched = touchedKeys(rows.parts, before, letters);
  if (touched.length > 0) await outdateLetters(place, touched);
}

export async function applyFolded(
  context: WriteContext,
  rows: FoldedRows,
  { letters, open }: Letters,
): Promise<WriteResult> {
  const before = new Set(open.get(context.target.id));
  const result = await applyRows(context, rows, letters);
  if (before.size > 0 && context.target.load !== 'append')
    await outdate(context, rows, before, letters);
  return result;
}
