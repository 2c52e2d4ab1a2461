/** What must not grow: time to --help, time per row, memory. */
import { type Bed, freshDatabase, url } from './bed.ts';
import { forebay, median, type Measured } from './measure.ts';
import { loadOrders } from './orders.ts';
import type { Outcome } from './report.ts';

const BUDGET_MIB = 256;

function limit(
  name: string,
  measured: { readonly value: number; readonly most: number; readonly unit: string },
  ours: readonly Measured[],
): Outcome {
  const { value, most, unit } = measured;
  return {
    name,
    peer: `the limit of ${most} ${unit}`,
    ratio: most / value,
    atLeast: 1,
    ours,
    theirs: [],
    notes: [`${value.toFixed(2)} ${unit}`],
  };
}

export async function help(): Promise<Outcome[]> {
  const ours: Measured[] = [];
  for (let i = 0; i < 9; i += 1) ours.push(await forebay('--help'));
  return [
    limit(
      'start to --help',
      { value: median(ours.map((one) => one.seconds)) * 1000, most: 150, unit: 'ms' },
      ours,
    ),
  ];
}

export async function linear(bed: Bed): Promise<Outcome[]> {
  const perRow: number[] = [];
  const all: Measured[] = [];
  for (const rows of [1_000_000, 10_000_000]) {
    await freshDatabase(bed, 'growing');
    await loadOrders(bed.server, 'growing', rows);
    const times: number[] = [];
    for (let i = 0; i < 3; i += 1) {
      await freshDatabase(bed, 'target');
      const one = await forebay('copy', url(bed, 'growing'), url(bed, 'target'));
      times.push(one.seconds);
      all.push(one);
    }
    perRow.push(median(times) / rows);
  }
  await bed.server.dropDatabase('growing');
  const [small = 1, large = 1] = perRow;
  const rss = Math.max(...all.map((one) => one.rssMiB ?? 0));
  return [
    limit(
      'time per row at 10M rows over that at 1M',
      { value: large / small, most: 1.2, unit: 'times' },
      all,
    ),
    limit('memory at 10M rows', { value: rss, most: BUDGET_MIB + 150, unit: 'MiB' }, all),
  ];
}

/** One transaction of 2,000,000 rows, to both destinations. */
export async function largeTransaction(bed: Bed): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const rows = Math.min(2_000_000, bed.sizes.changes * 2);
  for (const kind of ['postgres', 'duckdb'] as const) {
    await freshDatabase(bed, 'bulk');
    await bed.server.query('bulk', 'CREATE TABLE bulk (id int8 PRIMARY KEY, a text, b int)');
    await freshDatabase(bed, 'target');
    const destination =
      kind === 'postgres' ? url(bed, 'target') : `duckdb:${bed.server.socketDir}/bulk.duckdb`;
    const args = [
      'replicate',
      url(bed, 'bulk'),
      destination,
      '--name',
      `bulk_${kind}`,
      '--until-caught-up',
    ];
    await forebay(...args);
    await bed.server.query(
      'bulk',
      `INSERT INTO bulk SELECT g, 'text of row ' || g, g % 7 FROM generate_series(1, ${rows}) g`,
    );
    const one = await forebay(...args);
    await bed.server.query('bulk', `SELECT pg_drop_replication_slot('forebay_bulk_${kind}')`);
    outcomes.push(
      limit(
        `memory for one transaction of ${rows} rows to ${kind}`,
        { value: one.rssMiB ?? 0, most: BUDGET_MIB + 150, unit: 'MiB' },
        [one],
      ),
    );
  }
  return outcomes;
}
