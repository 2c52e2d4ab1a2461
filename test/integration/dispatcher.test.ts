// Which run of a workflow an execution tells, whatever was written down of its start.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, expect, test } from 'vitest';
import { z } from 'zod';

import { openMetadata } from '../../src/metadata/database.ts';
import {
  claimExecution,
  endExecution,
  findExecution,
  startExecution,
} from '../../src/metadata/executions.ts';
import { createOrganization } from '../../src/metadata/organizations.ts';
import { scopeOf } from '../../src/metadata/scope.ts';
import { Dispatcher, workflowInput } from '../../src/orchestration/dispatcher.ts';
import { startEmbedded } from '../../src/orchestration/embedded/orchestrator.ts';
import type { ActivityMap, FlowContext, Json } from '../../src/orchestration/flow.ts';
import { aPipeline } from '../support/metadata-builders.ts';
import { eventually } from '../support/wait.ts';

const folder = mkdtempSync(join(tmpdir(), 'fb-dispatcher-'));
afterAll(() => rmSync(folder, { recursive: true }));
let number = 0;

const refSchema = z.object({ organizationId: z.string(), executionId: z.string() });

const waiting = async (ctx: FlowContext<ActivityMap>, input: Json): Promise<unknown> => {
  await ctx.run('begin', input);
  return ctx.signal('go');
};

const onFault = (error: unknown): void => {
  throw error;
};

async function open() {
  number += 1;
  const stack = new AsyncDisposableStack();
  const metadata = stack.use(
    await openMetadata({ kind: 'sqlite', path: join(folder, `${number}.db`) }),
  );
  const { db } = metadata;
  const scope = scopeOf((await createOrganization(db, 'acme')).id);
  const begin = async (input: Json): Promise<null> => {
    const { organizationId, executionId } = refSchema.parse(input);
    await startExecution(db, scopeOf(organizationId), { id: executionId, run_id: null });
    return null;
  };
  const orchestrator = stack.use(
    await startEmbedded({
      metadata,
      flows: { ETLWorkflow: waiting },
      activities: { begin },
      onFault,
    }),
  );
  const pipeline = await aPipeline(db, scope);
  const claim = async (workflow_id?: string) => {
    const { execution } = await claimExecution(db, scope, {
      pipeline_id: pipeline.id,
      workflow: 'ETLWorkflow',
      trigger: 'manual',
      parameters: '{}',
      ...(workflow_id === undefined ? {} : { workflow_id }),
    });
    return execution;
  };
  return {
    orchestrator,
    claim,
    dispatch: () => stack.use(new Dispatcher({ db, orchestrator, onFault })),
    find: async (id: string) => (await findExecution(db, scope, id)) ?? expect.fail('is gone'),
    end: (id: string) => endExecution(db, scope, { id, status: 'completed' }),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

test('an execution that is started has the id of its run when it has begun', async () => {
  await using on = await open();
  const { id, workflow_id } = await on.claim();
  on.dispatch();
  const begun = await eventually(async () => {
    const execution = await on.find(id);
    return execution.status === 'running' && execution.run_id !== null ? execution : null;
  });
  expect(begun.run_id).toBe((await on.orchestrator.describe(workflow_id))?.runId);
});

test('one whose start nobody could write down has it from the run that is found', async () => {
  await using on = await open();
  const execution = await on.claim();
  const { id, workflow_id } = execution;
  const input = workflowInput(execution);
  const { runId } = await on.orchestrator.start('ETLWorkflow', { workflowId: workflow_id, input });
  await eventually(async () => (await on.find(id)).status === 'running');
  expect((await on.find(id)).run_id).toBeNull();
  on.dispatch();
  await eventually(async () => (await on.find(id)).run_id === runId);
});

test('one that waits does not take the run of the one before it for its own', async () => {
  await using on = await open();
  const first = await on.claim('shared');
  const dispatcher = on.dispatch();
  await eventually(async () => (await on.find(first.id)).run_id !== null);
  const next = await on.claim('shared');
  await eventually(async () => (await on.find(first.id)).status === 'running');
  // The execution has ended, and its workflow not yet.
  await on.end(first.id);
  dispatcher.hint();
  await on.orchestrator.signal('shared', { name: 'go', id: '1', payload: null });
  const begun = await eventually(async () => {
    const execution = await on.find(next.id);
    return execution.run_id === null ? null : execution;
  });
  expect(begun.run_id).not.toBe((await on.find(first.id)).run_id);
});

test('one that was entered before the run of the one before it began has a run of its own', async () => {
  await using on = await open();
  const first = await on.claim('shared');
  const next = await on.claim('shared');
  const dispatcher = on.dispatch();
  await eventually(async () => (await on.find(first.id)).run_id !== null);
  await eventually(async () => (await on.find(first.id)).status === 'running');
  await on.orchestrator.signal('shared', { name: 'go', id: '1', payload: null });
  await on.orchestrator.result('shared');
  await on.end(first.id);
  dispatcher.hint();
  await eventually(async () => (await on.find(next.id)).status === 'running');
});
