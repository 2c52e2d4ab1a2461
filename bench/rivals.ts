/** Other movers as a user would run them, where they are installed: pgcopydb (Debian), dlt (PyPI). */
import { spawnSync } from 'node:child_process';
import { type Bed, freshDatabase, url } from './bed.ts';
import { forebay, type Measured, run } from './measure.ts';
import { compareTimes, type Outcome } from './report.ts';

function has(command: string, args: readonly string[]): boolean {
  return spawnSync(command, [...args], { stdio: 'ignore' }).status === 0;
}

async function rival(
  bed: Bed,
  name: string,
  move: (
    from: string,
    to: string,
  ) => { command: string; args: readonly string[]; env?: Readonly<Record<string, string>> },
): Promise<Outcome> {
  const ours: Measured[] = [];
  const theirs: Measured[] = [];
  for (let i = 0; i < bed.sizes.runs; i += 1) {
    await freshDatabase(bed, 'peer');
    const { seconds } = await run(move(url(bed, 'source'), url(bed, 'peer')));
    theirs.push({ seconds, cpuSeconds: null, rssMiB: null });
    await freshDatabase(bed, 'target');
    ours.push(await forebay('copy', url(bed, 'source'), url(bed, 'target')));
  }
  return compareTimes('copy PostgreSQL to PostgreSQL', name, { ours, theirs, atLeast: null });
}

const DLT = `
import sys, dlt
from dlt.sources.sql_database import sql_database
pipeline = dlt.pipeline("bench", destination=dlt.destinations.postgres(sys.argv[2]), dataset_name="public", pipelines_dir=sys.argv[3])
pipeline.run(sql_database(sys.argv[1], backend="pyarrow", table_names=["orders"], reflection_level="full"))
`;

export async function rivals(bed: Bed): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  // SQLAlchemy knows the scheme by its long name alone.
  const tcp = (database: string): string =>
    bed.server.url(database).replace(/^postgres:/, 'postgresql:');
  if (has('pgcopydb', ['--version'])) {
    const folder = `${bed.server.socketDir}/pgcopydb`;
    outcomes.push(
      await rival(bed, 'pgcopydb clone', (from, to) => ({
        command: 'pgcopydb',
        args: [
          'clone',
          '--restart',
          '--not-consistent',
          '--dir',
          folder,
          '--source',
          from,
          '--target',
          to,
        ],
      })),
    );
  } else process.stdout.write('pgcopydb is not installed (Debian package pgcopydb): left out\n');
  if (has('python3', ['-c', 'import dlt, psycopg2, sqlalchemy, pyarrow'])) {
    outcomes.push(
      await rival(bed, 'dlt (pyarrow backend)', () => ({
        command: 'python3',
        args: ['-c', DLT, tcp('source'), tcp('peer'), `${bed.server.socketDir}/dlt`],
        env: { RUNTIME__DLTHUB_TELEMETRY: 'false' },
      })),
    );
  } else
    process.stdout.write(
      'dlt is not installed (PyPI: dlt[postgres,sql_database] pyarrow): left out\n',
    );
  return outcomes;
}
