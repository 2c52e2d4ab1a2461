/** Removes what nobody looks at any more. */
import type { MetadataDb } from '../../metadata/database.ts';

/** Runs of one pass, so that no transaction holds the database for long. */
const MOST_RUNS = 500;

/** Runs that ended before, with their journals and signals; answers how many. */
export async function removeEnded(db: MetadataDb, before: string): Promise<number> {
  let removed = 0;
  for (;;) {
    const runs = await db
      .selectFrom('journal_runs')
      .select(['id', 'workflow_id'])
      .where('completed_at', '<', before)
      .orderBy('completed_at')
      .limit(MOST_RUNS)
      .execute();
    if (runs.length === 0) break;
    const ids = runs.map(({ id }) => id);
    await db.transaction().execute(async (tx) => {
      await tx.deleteFrom('journal_entries').where('run_id', 'in', ids).execute();
      await tx.deleteFrom('journal_runs').where('id', 'in', ids).execute();
    });
    removed += runs.length;
  }
  // Signals stay as long as one may be sent again.
  await db
    .deleteFrom('journal_signals')
    .where('created_at', '<', before)
    .where((eb) =>
      eb.or([
        eb('run_id', 'is not', null),
        eb(
          'workflow_id',
          'not in',
          eb.selectFrom('journal_runs').select('workflow_id').where('status', '=', 'running'),
        ),
      ]),
    )
    .execute();
  return removed;
}
