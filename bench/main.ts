/** npm run bench -- [--rows N] [--changes N] [--runs N] [--only name,name]: every figure beside its peer's. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { type Bed, openBed } from './bed.ts';
import { apiLists, schedulesDue, underServer, waitingExecutions } from './control-plane.ts';
import { kazaam } from './kazaam.ts';
import { build } from './measure.ts';
import { help, largeTransaction, linear } from './limits.ts';
import { flowSteps } from './orchestration.ts';
import { type Outcome, printOutcome } from './report.ts';
import { rivals } from './rivals.ts';
import { prepareSource, snapshotToDuckdb, snapshotToPostgres } from './snapshots.ts';
import { changesApplied, decode, upsertsApplied } from './streams.ts';

const PARTS: Readonly<Record<string, (bed: Bed) => Promise<Outcome[]>>> = {
  help: () => help(),
  'snapshot-postgres': snapshotToPostgres,
  'snapshot-duckdb': snapshotToDuckdb,
  decode,
  changes: changesApplied,
  upserts: upsertsApplied,
  'large-transaction': largeTransaction,
  linear,
  rivals,
  kazaam,
  steps: flowSteps,
  'api-lists': apiLists,
  schedules: schedulesDue,
  waiting: () => waitingExecutions(),
  'under-server': underServer,
};

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '3000000' },
    changes: { type: 'string', default: '1000000' },
    runs: { type: 'string', default: '5' },
    only: { type: 'string', default: Object.keys(PARTS).join() },
    out: { type: 'string', default: 'bench/results/latest.json' },
  },
});

const wanted = values.only.split(',');
const unknown = wanted.filter((name) => !(name in PARTS));
if (unknown.length > 0)
  throw new Error(`unknown part ${unknown.join()}; there are ${Object.keys(PARTS).join()}`);

await build();
await using bed = await openBed({
  rows: Number(values.rows),
  changes: Number(values.changes),
  runs: Number(values.runs),
});
if (wanted.some((name) => name.startsWith('snapshot') || ['rivals', 'under-server'].includes(name)))
  await prepareSource(bed);
const outcomes: Outcome[] = [];
for (const name of wanted) {
  for (const outcome of (await PARTS[name]?.(bed)) ?? []) {
    outcomes.push(outcome);
    process.stdout.write(`${printOutcome(outcome)}\n`);
  }
}
mkdirSync(new URL('results/', import.meta.url), { recursive: true });
const machine = {
  node: process.version,
  cores: availableParallelism(),
  sizes: bed.sizes,
  at: new Date().toISOString(),
};
writeFileSync(values.out, `${JSON.stringify({ v: 1, machine, outcomes }, null, 1)}\n`);
process.stdout.write(`\nWritten to ${values.out}\n`);
