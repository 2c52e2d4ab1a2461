/** What a snapshot that is to be read again leaves behind. */
import type { StreamTarget } from '../../core/connector.ts';
import { emptyTable } from './apply-rekey.ts';
import { outdateLetters } from './dead-letters.ts';
import type { Lane } from './lane.ts';
import { buildingName } from './replace-table.ts';
import { quoteName } from './sql.ts';
import { readTable } from './target-table.ts';

export interface SnapshotPlace {
  readonly lane: Lane;
  readonly pipeline: string;
  readonly target: StreamTarget;
}

export async function forgetChunks({ lane, pipeline, target }: SnapshotPlace): Promise<void> {
  await lane.connection.query(
    'DELETE FROM _forebay.snapshot_chunks WHERE pipeline = $1 AND stream = $2',
    [pipeline, target.id],
  );
}

/** For `replace`: what is loaded from now on is for a new table. */
export async function beginAnew({ lane, pipeline, target }: SnapshotPlace): Promise<void> {
  const { connection } = lane;
  await connection.query(
    `UPDATE _forebay.streams SET state = 'pending'
     WHERE pipeline = $1 AND stream = $2 AND state = 'streaming'`,
    [pipeline, target.id],
  );
  await connection.execute(`DROP TABLE IF EXISTS ${quoteName(buildingName(target.table))}`);
}

/** All rows; of a history those that snapshots brought. */
export async function removeSnapshot(
  { lane, pipeline, target }: SnapshotPlace,
  removed: true | 'own',
): Promise<void> {
  const { connection } = lane;
  await outdateLetters({ connection, pipeline, target }, null);
  const table = await readTable(connection, target.table);
  if (table === null) return;
  const name = quoteName(target.table);
  // What earlier executions read stays; without a key, rows that are there twice could not be told apart.
  const isOwn = removed === 'own' || target.schema.identity === 'key';
  if (target.load === 'append' && target.stamp !== undefined && isOwn)
    await connection.query(
      `DELETE FROM ${name} WHERE _forebay_op = 'r' AND _forebay_execution_id = $1`,
      [target.stamp],
    );
  else if (target.load === 'append')
    await connection.execute(`DELETE FROM ${name} WHERE _forebay_op = 'r'`);
  else await emptyTable({ lane, table }, name);
}
