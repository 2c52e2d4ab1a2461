// A process with an engine of its own, for tests that kill it: brings workflows of the flow `append` to their end.
import { argv, exit, stdout } from 'node:process';

import { z } from 'zod';

import { Secret } from '../../src/core/secret.ts';
import { openMetadata } from '../../src/metadata/database.ts';
import { startEmbedded } from '../../src/orchestration/embedded/orchestrator.ts';
import { Recorder, testActivities } from './orchestration-activities.ts';
import { FLOWS } from './orchestration-flows.ts';

const { sqlite, postgres, file, workflows, steps } = z
  .object({
    sqlite: z.string().nullable(),
    postgres: z.string().nullable(),
    file: z.string(),
    workflows: z.array(z.string()),
    steps: z.number(),
  })
  .parse(JSON.parse(argv[2] ?? ''));

const metadata = await openMetadata(
  postgres === null
    ? { kind: 'sqlite', path: sqlite ?? '' }
    : { kind: 'postgres', url: new Secret(postgres) },
);
const orchestrator = await startEmbedded({
  metadata,
  flows: FLOWS,
  activities: testActivities(new Recorder()),
  leaseMs: 600,
  pollMs: 50,
  onFault: (fault) => stdout.write(`${String(fault)}\n`),
});
for (const workflowId of workflows) {
  if ((await orchestrator.describe(workflowId)) !== null) continue;
  try {
    await orchestrator.start('append', { workflowId, input: { file, steps } });
  } catch (error) {
    // The other process was quicker.
    stdout.write(`${String(error)}\n`);
  }
}
const outcomes = await Promise.all(workflows.map((id) => orchestrator.result(id)));
stdout.write(`${JSON.stringify(outcomes)}\n`);
exit(outcomes.every(({ status }) => status === 'completed') ? 0 : 1);
