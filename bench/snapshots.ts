/** Snapshots: PostgreSQL to PostgreSQL against two psql processes and a pipe, and to DuckDB against nothing. */
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Bed, freshDatabase, url } from './bed.ts';
import { forebay, type Measured, median, run } from './measure.ts';
import { loadOrders, ordersTable } from './orders.ts';
import { compareTimes, type Outcome } from './report.ts';

/** Of a row in COPY BINARY. */
const ROW_BYTES = 190;

async function psqlPipe(bed: Bed, database: string): Promise<Measured> {
  const psql = bed.bin('psql');
  const script = `${psql} -qd source -c 'COPY orders TO STDOUT (FORMAT binary)' | ${psql} -qd ${database} -c 'COPY orders FROM STDIN (FORMAT binary)'`;
  const { seconds } = await run({
    command: 'bash',
    args: ['-o', 'pipefail', '-c', script],
    env: bed.env,
  });
  return { seconds, cpuSeconds: null, rssMiB: null };
}

async function drain(bed: Bed): Promise<Measured> {
  const args = ['-qd', 'source', '-o', '/dev/null', '-c', 'COPY orders TO STDOUT (FORMAT binary)'];
  const { seconds } = await run({ command: bed.bin('psql'), args, env: bed.env });
  return { seconds, cpuSeconds: null, rssMiB: null };
}

export async function prepareSource(bed: Bed): Promise<void> {
  await freshDatabase(bed, 'source');
  await loadOrders(bed.server, 'source', bed.sizes.rows);
}

export async function snapshotToPostgres(bed: Bed): Promise<Outcome[]> {
  const ours: Measured[] = [];
  const keyed: Measured[] = [];
  const keyless: Measured[] = [];
  const empty: Measured[] = [];
  await freshDatabase(bed, 'empty');
  await bed.server.query('empty', ordersTable(true));
  for (let i = 0; i < bed.sizes.runs; i += 1) {
    for (const key of [true, false]) {
      await freshDatabase(bed, 'peer');
      await bed.server.query('peer', ordersTable(key));
      (key ? keyed : keyless).push(await psqlPipe(bed, 'peer'));
    }
    await freshDatabase(bed, 'target');
    ours.push(await forebay('copy', url(bed, 'source'), url(bed, 'target')));
    await freshDatabase(bed, 'target');
    empty.push(await forebay('copy', url(bed, 'empty'), url(bed, 'target')));
  }
  const gigabytes = (bed.sizes.rows * ROW_BYTES) / 1e9;
  const cpu = median(ours.map((one) => one.cpuSeconds ?? 0));
  const start = median(empty.map((one) => one.cpuSeconds ?? 0));
  const note = `processor time of ours: ${((cpu - start) / gigabytes).toFixed(2)} s per GB (limit 1.2), and ${start.toFixed(2)} s for the start of the process, seen by copying an empty table`;
  return [
    compareTimes(
      'snapshot PostgreSQL to PostgreSQL',
      'psql | psql binary, same result (table with its key)',
      { ours, theirs: keyed, atLeast: 0.95 },
      [note],
    ),
    compareTimes(
      'snapshot PostgreSQL to PostgreSQL',
      'psql | psql binary into a table without a key (ours makes the key)',
      { ours, theirs: keyless, atLeast: null },
    ),
  ];
}

export async function snapshotToDuckdb(bed: Bed): Promise<Outcome[]> {
  const memory: Measured[] = [];
  const file: Measured[] = [];
  const drained: Measured[] = [];
  const path = join(tmpdir(), `forebay-bench-${process.pid}.duckdb`);
  for (let i = 0; i < bed.sizes.runs; i += 1) {
    drained.push(await drain(bed));
    memory.push(await forebay('copy', url(bed, 'source'), 'duckdb::memory:'));
    file.push(await forebay('copy', url(bed, 'source'), `duckdb:${path}`));
    rmSync(path, { force: true });
    rmSync(`${path}.wal`, { force: true });
  }
  return [
    compareTimes('snapshot PostgreSQL to DuckDB in memory', 'source drained to nothing by psql', {
      ours: memory,
      theirs: drained,
      atLeast: 0.8,
    }),
    compareTimes('snapshot PostgreSQL to a DuckDB file', 'source drained to nothing by psql', {
      ours: file,
      theirs: drained,
      atLeast: null,
    }),
  ];
}
