/** Writes what many runs did in one transaction; what belongs to a run that somebody else took over is left out. */
import { type Transaction } from 'kysely';
import { failpoint } from '../../core/failpoint.ts';
import type { MetadataDb } from '../../metadata/database.ts';
import type {
  JournalEntriesTable,
  JournalRunsTable,
  RunStatus,
} from '../../metadata/journal-tables.ts';
import type { MetadataTables } from '../../metadata/tables.ts';

export interface JournalWrite {
  readonly runId: string;
  readonly epoch: number;
  readonly entries?: readonly JournalEntriesTable[];
  readonly takenSignals?: readonly { readonly id: number; readonly seq: number }[];
  readonly children?: readonly JournalRunsTable[];
  /** Steps whose child is asked to end. */
  readonly cancelChildren?: readonly number[];
  readonly ending?: RunEnding;
  /** Takes the place of the run, whose journal goes. */
  readonly continuation?: JournalRunsTable;
  /** Lets go of the run unless somebody wants it looked at; forced, in any case. */
  readonly release?: { readonly wakeAt: string | null; readonly forced: boolean };
}

export interface RunEnding {
  readonly status: Exclude<RunStatus, 'running'>;
  readonly result: string | null;
  readonly error: string | null;
  readonly parentRunId: string | null;
}

export type WriteResult =
  /** Steps whose child could not begin, because a workflow of its id is open; `kept` is a run that was not let go. */
  | {
      readonly kind: 'written';
      readonly refusedChildren: readonly number[];
      readonly kept: boolean;
    }
  | { readonly kind: 'fenced' };

type Tx = Transaction<MetadataTables>;
type Fence = Pick<JournalRunsTable, 'id' | 'owner' | 'epoch' | 'wake_at'>;

export interface Journal {
  readonly db: MetadataDb;
  readonly dialect: 'sqlite' | 'postgres';
  /** The engine that writes. */
  readonly owner: string;
  readonly now: () => number;
}

/** As `wake_at`, whatever the clock says. */
export const AT_ONCE = '1970-01-01T00:00:00.000Z';

/** Rows of one statement: the text of few sizes stays prepared. */
const CHUNKS = [64, 16, 4, 1] as const;

const FENCED: WriteResult = { kind: 'fenced' };

export async function commitWrites(
  journal: Journal,
  writes: readonly JournalWrite[],
): Promise<readonly WriteResult[]> {
  await failpoint('journal.beforeCommit');
  const results = await journal.db.transaction().execute(async (tx) => {
    const fences = await lockRuns(tx, journal, writes);
    const mine = writes.map((write) => {
      const fence = fences.get(write.runId);
      return fence?.owner === journal.owner && fence.epoch === write.epoch ? fence : null;
    });
    await writeEntries(
      tx,
      writes.filter((_, index) => mine[index] !== null),
    );
    const done: WriteResult[] = [];
    for (const [index, write] of writes.entries()) {
      const fence = mine[index];
      done.push(fence == null ? FENCED : await writeRest(tx, journal, { write, fence }));
    }
    await failpoint('journal.insideTransaction');
    return done;
  });
  await failpoint('journal.afterCommit');
  return results;
}

/** In the order of their ids, those that are woken too, so that two engines never wait for each other. */
async function lockRuns(
  tx: Tx,
  { dialect }: Journal,
  writes: readonly JournalWrite[],
): Promise<Map<string, Fence>> {
  const ids = new Set(writes.flatMap(({ runId, ending }) => [runId, ending?.parentRunId ?? runId]));
  let query = tx
    .selectFrom('journal_runs')
    .select(['id', 'owner', 'epoch', 'wake_at'])
    .where('id', 'in', padded([...ids]))
    .orderBy('id');
  if (dialect === 'postgres') query = query.forUpdate();
  const rows = await query.execute();
  return new Map(rows.map((row) => [row.id, row]));
}

/** Repeats the last to a few lengths, for the same reason as `CHUNKS`. */
export function padded(ids: readonly string[]): readonly string[] {
  const size = 4 ** Math.ceil(Math.log2(Math.max(1, ids.length)) / 2);
  const last = ids.at(-1) ?? '';
  return [...ids, ...Array.from({ length: size - ids.length }, () => last)];
}

async function writeEntries(tx: Tx, writes: readonly JournalWrite[]): Promise<void> {
  // The last state of a step is the one that counts, and a statement may touch a row once.
  const latest = new Map<string, JournalEntriesTable>();
  for (const { entries = [] } of writes)
    for (const entry of entries) latest.set(`${entry.run_id}:${entry.seq}`, entry);
  const rows = [...latest.values()];
  let from = 0;
  while (from < rows.length) {
    const left = rows.length - from;
    const size = CHUNKS.find((chunk) => chunk <= left) ?? 1;
    await upsert(tx, rows.slice(from, from + size));
    from += size;
  }
}

function upsert(tx: Tx, rows: readonly JournalEntriesTable[]): Promise<unknown> {
  return tx
    .insertInto('journal_entries')
    .values(rows)
    .onConflict((conflict) =>
      conflict.columns(['run_id', 'seq']).doUpdateSet((eb) => ({
        status: eb.ref('excluded.status'),
        attempt: eb.ref('excluded.attempt'),
        result: eb.ref('excluded.result'),
        error: eb.ref('excluded.error'),
        heartbeat: eb.ref('excluded.heartbeat'),
        due_at: eb.ref('excluded.due_at'),
        delivered: eb.ref('excluded.delivered'),
        updated_at: eb.ref('excluded.updated_at'),
      })),
    )
    .execute();
}

async function writeRest(
  tx: Tx,
  journal: Journal,
  { write, fence }: { readonly write: JournalWrite; readonly fence: Fence },
): Promise<WriteResult> {
  const now = new Date(journal.now()).toISOString();
  for (const { id, seq } of write.takenSignals ?? [])
    await tx
      .updateTable('journal_signals')
      .set({ run_id: write.runId, seq })
      .where('id', '=', id)
      .execute();
  const refusedChildren: number[] = [];
  for (const child of write.children ?? [])
    if (!(await beginChild(tx, child))) refusedChildren.push(child.parent_seq ?? 0);
  if (write.cancelChildren !== undefined)
    await cancelChildren(tx, { runId: write.runId, seqs: write.cancelChildren });
  if (write.ending !== undefined) await endRun(tx, { runId: write.runId, now }, write.ending);
  if (write.continuation !== undefined) await replaceRun(tx, write.runId, write.continuation);
  const kept = write.release !== undefined && fence.wake_at !== null && !write.release.forced;
  if (write.release !== undefined && !kept)
    await tx
      .updateTable('journal_runs')
      .set({ owner: null, wake_at: write.release.wakeAt, updated_at: now })
      .where('id', '=', write.runId)
      .execute();
  return { kind: 'written', refusedChildren, kept };
}

/** Whether it runs, or ran: the step may have begun it before a crash. */
async function beginChild(tx: Tx, child: JournalRunsTable): Promise<boolean> {
  const there = await tx
    .selectFrom('journal_runs')
    .select('id')
    .where('parent_run_id', '=', child.parent_run_id)
    .where('parent_seq', '=', child.parent_seq)
    .executeTakeFirst();
  if (there !== undefined) return true;
  return insertRun(tx, child);
}

/** False where a workflow of its id is open. What was sent to an earlier one is not for this one. */
export async function insertRun(tx: Tx, run: JournalRunsTable): Promise<boolean> {
  const inserted = await tx
    .insertInto('journal_runs')
    .values(run)
    .onConflict((conflict) => conflict.doNothing())
    .returning('id')
    .executeTakeFirst();
  if (inserted === undefined) return false;
  await tx.deleteFrom('journal_signals').where('workflow_id', '=', run.workflow_id).execute();
  return true;
}

async function cancelChildren(
  tx: Tx,
  of: { readonly runId: string; readonly seqs: readonly number[] | null },
): Promise<void> {
  if (of.seqs?.length === 0) return;
  let query = tx
    .updateTable('journal_runs')
    .set({ cancel_requested: 1, wake_at: AT_ONCE })
    .where('parent_run_id', '=', of.runId)
    .where('status', '=', 'running');
  if (of.seqs !== null) query = query.where('parent_seq', 'in', of.seqs);
  await query.execute();
}

async function endRun(
  tx: Tx,
  { runId, now }: { readonly runId: string; readonly now: string },
  { parentRunId, ...outcome }: RunEnding,
): Promise<void> {
  await tx
    .updateTable('journal_runs')
    .set({ ...outcome, owner: null, wake_at: null, updated_at: now, completed_at: now })
    .where('id', '=', runId)
    .execute();
  await cancelChildren(tx, { runId, seqs: null });
  if (parentRunId === null) return;
  await tx
    .updateTable('journal_runs')
    .set({ wake_at: AT_ONCE })
    .where('id', '=', parentRunId)
    .where('status', '=', 'running')
    .execute();
}

async function replaceRun(tx: Tx, runId: string, next: JournalRunsTable): Promise<void> {
  await cancelChildren(tx, { runId, seqs: null });
  // A cancellation that was asked for meanwhile, and whatever else wakes it, is for the one that follows.
  const before = await tx
    .selectFrom('journal_runs')
    .select(['cancel_requested', 'wake_at'])
    .where('id', '=', runId)
    .executeTakeFirst();
  await tx.deleteFrom('journal_entries').where('run_id', '=', runId).execute();
  await tx.deleteFrom('journal_runs').where('id', '=', runId).execute();
  await tx
    .insertInto('journal_runs')
    .values({
      ...next,
      cancel_requested: before?.cancel_requested ?? 0,
      wake_at: before?.wake_at ?? null,
    })
    .execute();
}
