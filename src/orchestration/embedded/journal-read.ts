/** Reads and small writes of the journal that stand outside the steps of a run. */
import { ForebayError } from '../../core/errors.ts';
import type { MetadataDb } from '../../metadata/database.ts';
import type {
  JournalEntriesTable,
  JournalRunsTable,
  JournalSignalsTable,
} from '../../metadata/journal-tables.ts';
import { AT_ONCE, insertRun, type Journal, padded } from './journal-commit.ts';

export type SignalRow = Omit<JournalSignalsTable, 'id'> & { readonly id: number };

export async function startRun(db: MetadataDb, run: JournalRunsTable): Promise<void> {
  const started = await db.transaction().execute((tx) => insertRun(tx, run));
  if (!started)
    throw new ForebayError('workflow_exists', { message: `workflow ${run.workflow_id} is open` });
}

/**
 * Takes up to `limit` runs that nobody has and whose time has come. Whoever the others take for dead gets none: they
 * would take it away again.
 */
export function claimRuns(
  { db, dialect, owner, now }: Journal,
  flows: readonly string[],
  limit: number,
): Promise<readonly JournalRunsTable[]> {
  return db
    .updateTable('journal_runs')
    .set((eb) => ({ owner, epoch: eb('epoch', '+', 1), wake_at: null }))
    .where('id', 'in', (eb) => {
      const due = eb
        .selectFrom('journal_runs')
        .select('id')
        .where('status', '=', 'running')
        .where('owner', 'is', null)
        .where('wake_at', '<=', new Date(now()).toISOString())
        .where('flow', 'in', flows)
        .orderBy('wake_at')
        .limit(limit);
      return dialect === 'postgres' ? due.forUpdate().skipLocked() : due;
    })
    .where('owner', 'is', null)
    .where((eb) => eb.exists(eb.selectFrom('journal_engines').select('id').where('id', '=', owner)))
    .returningAll()
    .execute();
}

/** Runs of this engine that somebody wants looked at; from here on they are told. */
export async function takeWoken({ db, owner }: Journal): Promise<readonly string[]> {
  const rows = await db
    .updateTable('journal_runs')
    .set({ wake_at: null })
    .where('owner', '=', owner)
    .where('wake_at', 'is not', null)
    .returning('id')
    .execute();
  return rows.map(({ id }) => id);
}

export interface RunNews {
  readonly cancelRequested: boolean;
  /** Nobody took them yet; in the order in which they came. */
  readonly signals: readonly SignalRow[];
  readonly endedChildren: readonly Pick<
    JournalRunsTable,
    'parent_seq' | 'status' | 'result' | 'error'
  >[];
}

type RunKey = Pick<JournalRunsTable, 'id' | 'workflow_id'>;

export async function readNews(
  db: MetadataDb,
  runs: readonly RunKey[],
): Promise<ReadonlyMap<string, RunNews>> {
  if (runs.length === 0) return new Map();
  const ids = padded(runs.map(({ id }) => id));
  const cancelled = await db
    .selectFrom('journal_runs')
    .select('id')
    .where('id', 'in', ids)
    .where('cancel_requested', '=', 1)
    .execute();
  const signals = await db
    .selectFrom('journal_signals')
    .selectAll()
    .where('workflow_id', 'in', padded(runs.map((run) => run.workflow_id)))
    .where('run_id', 'is', null)
    .orderBy('id')
    .execute();
  const children = await db
    .selectFrom('journal_runs')
    .select(['parent_run_id', 'parent_seq', 'status', 'result', 'error'])
    .where('parent_run_id', 'in', ids)
    .where('status', '!=', 'running')
    .execute();
  const signalsOf = Map.groupBy(signals, (signal) => signal.workflow_id);
  const childrenOf = Map.groupBy(children, (child) => child.parent_run_id);
  const cancelRequested = new Set(cancelled.map(({ id }) => id));
  return new Map(
    runs.map(({ id, workflow_id }) => [
      id,
      {
        cancelRequested: cancelRequested.has(id),
        signals: signalsOf.get(workflow_id) ?? [],
        endedChildren: childrenOf.get(id) ?? [],
      },
    ]),
  );
}

/** By run. */
export async function readJournals(
  db: MetadataDb,
  runs: readonly RunKey[],
): Promise<ReadonlyMap<string | null, readonly JournalEntriesTable[]>> {
  if (runs.length === 0) return new Map();
  const entries = await db
    .selectFrom('journal_entries')
    .selectAll()
    .where('run_id', 'in', padded(runs.map(({ id }) => id)))
    .execute();
  return Map.groupBy(entries, (entry) => entry.run_id);
}

export function readEntries(
  db: MetadataDb,
  runId: string,
): Promise<readonly JournalEntriesTable[]> {
  return db
    .selectFrom('journal_entries')
    .selectAll()
    .where('run_id', '=', runId)
    .orderBy('seq')
    .execute();
}

/** The run that is open, else the last one. */
export async function latestRun(
  db: MetadataDb,
  workflowId: string,
): Promise<JournalRunsTable | null> {
  const row = await db
    .selectFrom('journal_runs')
    .selectAll()
    .where('workflow_id', '=', workflowId)
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row ?? null;
}

/** Marks that somebody wants the open run of a workflow looked at; false where there is none. */
export async function sendSignal(
  db: MetadataDb,
  signal: Omit<JournalSignalsTable, 'id'>,
): Promise<boolean> {
  return db.transaction().execute(async (tx) => {
    const woken = await tx
      .updateTable('journal_runs')
      .set({ wake_at: AT_ONCE })
      .where('workflow_id', '=', signal.workflow_id)
      .where('status', '=', 'running')
      .returning('id')
      .executeTakeFirst();
    if (woken === undefined) return false;
    await tx
      .insertInto('journal_signals')
      .values(signal)
      .onConflict((conflict) => conflict.columns(['workflow_id', 'signal_id']).doNothing())
      .execute();
    return true;
  });
}

export async function requestCancel(db: MetadataDb, workflowId: string): Promise<void> {
  await db
    .updateTable('journal_runs')
    .set({ cancel_requested: 1, wake_at: AT_ONCE })
    .where('workflow_id', '=', workflowId)
    .where('status', '=', 'running')
    .execute();
}

export async function requestLook(db: MetadataDb, runId: string): Promise<void> {
  await db
    .updateTable('journal_runs')
    .set({ wake_at: AT_ONCE })
    .where('id', '=', runId)
    .where('status', '=', 'running')
    .execute();
}
