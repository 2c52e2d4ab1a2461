/** The change stream: decoded only, against pg_recvlogical; applied, against PostgreSQL's own subscription. */
import type { RunningServer } from '../test/support/servers.ts';
import { type Bed, databaseFrom, freshDatabase, url } from './bed.ts';
import { forebay, median, type Measured, run, runNode, time } from './measure.ts';
import { changeMix, distinctUpdates, insertOrders, ordersTable } from './orders.ts';
import { compareTimes, type Outcome } from './report.ts';

const PIPELINE = 'bench';
const SLOT = `forebay_${PIPELINE}`;

interface Prepared {
  /** Log position after the last change. */
  readonly end: string;
}

async function single(
  server: RunningServer,
  database: string,
  sql: string,
  values: readonly unknown[] = [],
): Promise<string> {
  const rows = await server.query(database, sql, [...values]);
  const [value] = Object.values(rows[0] ?? {});
  return typeof value === 'string' ? value : JSON.stringify(value ?? '');
}

async function dropSlot(bed: Bed, name: string): Promise<void> {
  await bed.server.query(
    'postgres',
    `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '${name}' AND NOT active`,
  );
}

/** A pipeline that has copied what there was; then the changes, which nobody has read yet. */
async function prepare(bed: Bed, setUp: readonly string[], changes: string): Promise<Prepared> {
  await dropSlot(bed, SLOT);
  await dropSlot(bed, 'base');
  await freshDatabase(bed, 'changing');
  for (const sql of [ordersTable(true), ...setUp]) await bed.server.query('changing', sql);
  await databaseFrom(bed.replicas, 'replica', 'template0');
  await forebay(
    'replicate',
    url(bed, 'changing'),
    bed.replicas.socketUrl('replica'),
    '--name',
    PIPELINE,
    '--until-caught-up',
  );
  await bed.server.query('changing', `SELECT pg_copy_logical_replication_slot('${SLOT}', 'base')`);
  await bed.server.query('changing', changes);
  return { end: await single(bed.server, 'changing', 'SELECT pg_current_wal_lsn()') };
}

async function slotFromBase(bed: Bed, name: string): Promise<void> {
  await dropSlot(bed, name);
  await bed.server.query('changing', `SELECT pg_copy_logical_replication_slot('base', '${name}')`);
}

export async function decode(bed: Bed): Promise<Outcome[]> {
  const { end } = await prepare(bed, [], changeMix(bed.sizes.changes / 1000));
  const outcomes: Outcome[] = [];
  for (const binary of [true, false]) {
    const ours: Measured[] = [];
    const theirs: Measured[] = [];
    const wholes: number[] = [];
    for (let i = 0; i < bed.sizes.runs; i += 1) {
      await slotFromBase(bed, 'peer');
      const options = [
        'proto_version=1',
        `publication_names=${SLOT}`,
        ...(binary ? ['binary=true'] : []),
      ];
      const args = [
        '-d',
        'changing',
        '-S',
        'peer',
        '--start',
        '-n',
        '-f',
        '/dev/null',
        '--endpos',
        end,
        ...options.flatMap((option) => ['-o', option]),
      ];
      const peer = await run({ command: bed.bin('pg_recvlogical'), args, env: bed.env });
      theirs.push({ seconds: peer.seconds, cpuSeconds: null, rssMiB: null });
      await slotFromBase(bed, SLOT);
      const one = await runNode('bench/decode.ts', [
        url(bed, 'changing'),
        PIPELINE,
        end,
        binary ? 'binary' : 'text',
      ]);
      wholes.push(one.seconds);
      const { seconds } = JSON.parse(one.stdout) as { seconds: number };
      ours.push({ ...one, seconds });
    }
    const whole = median(wholes);
    const other = median(theirs.map((one) => one.seconds));
    const note = `ours from START_REPLICATION on; with the start of the process ${whole.toFixed(2)} s, ${(other / whole).toFixed(2)}x`;
    outcomes.push(
      compareTimes(
        `change stream decoded (${binary ? 'binary' : 'text'})`,
        'pg_recvlogical to /dev/null',
        { ours, theirs, atLeast: 1 },
        [note],
      ),
    );
  }
  return outcomes;
}

/** Time until the subscription has applied everything. */
async function subscription(bed: Bed, end: string): Promise<Measured> {
  await slotFromBase(bed, 'peer');
  await databaseFrom(bed.replicas, 'subscriber', 'replica_before');
  await bed.replicas.query('subscriber', 'DROP SCHEMA IF EXISTS _forebay CASCADE');
  const connection = `host=${bed.server.socketDir} port=${bed.server.port} user=postgres password=${bed.server.password} dbname=changing`;
  await bed.replicas.query(
    'subscriber',
    `CREATE SUBSCRIPTION peer CONNECTION '${connection}' PUBLICATION ${SLOT}
     WITH (create_slot = false, slot_name = 'peer', copy_data = false, binary = true, enabled = false)`,
  );
  const measured = await time(async () => {
    await bed.replicas.query('subscriber', 'ALTER SUBSCRIPTION peer ENABLE');
    for (;;) {
      const done = await single(
        bed.replicas,
        'subscriber',
        `SELECT coalesce(bool_or(remote_lsn >= '${end}'), false) FROM pg_replication_origin_status`,
      );
      const flushed = await single(
        bed.server,
        'postgres',
        `SELECT confirmed_flush_lsn >= '${end}' FROM pg_replication_slots WHERE slot_name = 'peer'`,
      );
      if (done === 'true' || flushed === 'true') return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  });
  await bed.replicas.query('subscriber', 'ALTER SUBSCRIPTION peer DISABLE');
  await bed.replicas.query('subscriber', 'ALTER SUBSCRIPTION peer SET (slot_name = NONE)');
  await bed.replicas.query('subscriber', 'DROP SUBSCRIPTION peer');
  return measured;
}

async function applied(
  bed: Bed,
  name: string,
  what: { end: string; atLeast: number },
): Promise<Outcome> {
  const ours: Measured[] = [];
  const theirs: Measured[] = [];
  await databaseFrom(bed.replicas, 'replica_before', 'replica');
  for (let i = 0; i < bed.sizes.runs; i += 1) {
    theirs.push(await subscription(bed, what.end));
    await slotFromBase(bed, SLOT);
    await databaseFrom(bed.replicas, 'replica', 'replica_before');
    ours.push(
      await forebay(
        'replicate',
        url(bed, 'changing'),
        bed.replicas.socketUrl('replica'),
        '--name',
        PIPELINE,
        '--until-caught-up',
      ),
    );
    await assertSame(bed);
  }
  return compareTimes(name, "PostgreSQL's built-in subscription", {
    ours,
    theirs,
    atLeast: what.atLeast,
  });
}

/** A wrong result has no speed. */
async function assertSame(bed: Bed): Promise<void> {
  const sql = 'SELECT count(*) || md5(string_agg(o::text, chr(10) ORDER BY id)) FROM orders o';
  const [source, ...copies] = await Promise.all([
    single(bed.server, 'changing', sql),
    single(bed.replicas, 'replica', sql),
    single(bed.replicas, 'subscriber', sql),
  ]);
  if (copies.some((copy) => copy !== source)) throw new Error('source and copies differ');
}

export async function changesApplied(bed: Bed): Promise<Outcome[]> {
  const { end } = await prepare(bed, [], changeMix(bed.sizes.changes / 1000));
  return [
    await applied(bed, 'changes applied (60% insert, 30% update, 10% delete)', {
      end,
      atLeast: 1.1,
    }),
  ];
}

export async function upsertsApplied(bed: Bed): Promise<Outcome[]> {
  const rows = bed.sizes.changes / 2;
  const { end } = await prepare(
    bed,
    [insertOrders(1, rows * 2), 'VACUUM ANALYZE orders'],
    distinctUpdates(rows),
  );
  return [await applied(bed, 'upserts of distinct keys', { end, atLeast: 1 })];
}
