// What only Temporal has: histories that others can read, and that a later release has to replay.
import { afterAll, beforeAll, expect, test } from 'vitest';

import type { Json } from '../../src/orchestration/flow.ts';
import { createCodec } from '../../src/orchestration/temporal/codec.ts';
import {
  flowsModule,
  temporal,
  type TemporalSubject,
  workflowId,
} from '../support/orchestration-subject.ts';

let subject: TemporalSubject | null;
beforeAll(async () => {
  subject = await temporal();
});
afterAll(async () => {
  await subject?.[Symbol.asyncDispose]();
});

const canary = 'canary-5f0c7a';
const runs: readonly (readonly [string, Json])[] = [
  ['steps', { steps: 12 }],
  ['fanOut', { items: 6, limit: 2 }],
  ['failing', null],
  ['parent', { child: 'throwing', input: { note: canary } }],
  ['large', null],
];

test('histories are sealed, and replayed to the same end', async (context) => {
  if (subject === null) return context.skip();
  const { orchestrator, settings } = subject;
  const { Client, Connection } = await import('@temporalio/client');
  const { Worker } = await import('@temporalio/worker');
  const { bundleFlows } = await import('../../src/orchestration/temporal/worker.ts');
  const connection = await Connection.connect({ address: settings.address });
  const { workflow } = new Client({ connection });
  const [key] = settings.payloadKeys;
  if (key === undefined) throw new Error('no key');
  const dataConverter = { payloadCodecs: [createCodec([key])] };
  const workflowBundle = await bundleFlows(flowsModule);
  for (const [flow, input] of runs) {
    const id = workflowId();
    await orchestrator.start(flow, { workflowId: id, input });
    await orchestrator.result(id);
    const history = await workflow.getHandle(id).fetchHistory();
    const text = JSON.stringify(history, (_, value: unknown) =>
      value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : value,
    );
    expect(text).not.toMatch(/canary|the flow gave up|it failed/);
    await Worker.runReplayHistory({ workflowBundle, dataConverter }, history, id);
  }
  await connection.close();
});
