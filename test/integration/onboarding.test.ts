// Steps of onboarding: done again they find what they made, and take nothing that somebody else has made.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, expect, test } from 'vitest';

import { Onboardings } from '../../src/api/control/onboarding.ts';
import { findConnection, listConnections } from '../../src/metadata/connections.ts';
import { listPipelines } from '../../src/metadata/pipelines.ts';
import { findPipelineSchedule } from '../../src/metadata/schedules.ts';
import type { OrganizationScope } from '../../src/metadata/scope.ts';
import type { ActivityDeps } from '../../src/orchestration/activities/deps.ts';
import { createActivities } from '../../src/orchestration/activities/index.ts';
import { sealFields } from '../../src/orchestration/activities/onboarding.ts';
import { Turns } from '../../src/orchestration/activities/turns.ts';
import { stepContext as step } from '../support/layer-run.ts';
import type { Orchestrator } from '../../src/orchestration/orchestrator.ts';
import { describeEachStore, type Store, testKeys } from '../support/metadata-stores.ts';

const folder = mkdtempSync(join(tmpdir(), 'fb-onboarding-'));
afterAll(() => rmSync(folder, { recursive: true }));

const RUNNING = { status: 'running', error: null, pending: [] };
const page = { after: null, limit: 10 };

describeEachStore('onboarding', (of) => {
  const activities = async ({ again }: Store) => {
    const metadata = await again();
    const deps: ActivityDeps = {
      metadata,
      keys: testKeys,
      guard: (system) => system,
      turns: new Turns(),
      modelsFolder: folder,
      retryFallback: { maxAttempts: 1, initialDelayMs: 1, maxDelayMs: 1, multiplier: 1 },
    };
    return {
      ...createActivities(deps),
      [Symbol.asyncDispose]: () => metadata[Symbol.asyncDispose](),
    };
  };
  const connection = ({ organizationId }: OrganizationScope) => ({
    organizationId,
    name: 'shop',
    connectorType: 'duckdb',
    sealedFields: sealFields(testKeys, { path: join(folder, 'shop.duckdb') }),
  });

  test('a connection is made once, and a name that is taken is refused', async () => {
    await using act = await activities(of());
    const scope = await of().organization();
    const first = step();
    const made = await act.createConnection(connection(scope), first);
    expect(await act.createConnection(connection(scope), { ...first, attempt: 2 })).toEqual(made);
    await expect(act.createConnection(connection(scope), step())).rejects.toMatchObject({
      code: 'already_exists',
    });
    expect(await listConnections(of().db, scope, page)).toMatchObject([{ id: made.connectionId }]);
  });

  test('a pipeline is made once, with a schedule, and a name that is taken is refused', async () => {
    await using act = await activities(of());
    const scope = await of().organization();
    const { connectionId } = await act.createConnection(connection(scope), step());
    const input = {
      organizationId: scope.organizationId,
      name: 'first',
      sourceConnectionId: connectionId,
      destinationConnectionId: connectionId,
      streams: ['main.items'],
    };
    const first = step();
    const made = await act.createPipeline(input, first);
    expect(await act.createPipeline(input, { ...first, attempt: 2 })).toEqual(made);
    expect(await findPipelineSchedule(of().db, scope, made.pipelineId)).toMatchObject({
      schedule_type: 'manual',
      next_fire_at: null,
    });
    await expect(act.createPipeline(input, step())).rejects.toMatchObject({
      code: 'already_exists',
    });
    expect(await listPipelines(of().db, scope, page)).toHaveLength(1);
  });

  test('a check keeps the steps that it went', async () => {
    await using act = await activities(of());
    const scope = await of().organization();
    const { connectionId } = await act.createConnection(connection(scope), step());
    const input = { organizationId: scope.organizationId, connectionId };
    expect(await act.checkConnection(input, step())).toMatchObject({ success: true });
    const row = await findConnection(of().db, scope, connectionId);
    expect(row?.status).toBe('active');
    const { steps } = JSON.parse(row?.last_test_result ?? '{}') as { readonly steps: unknown[] };
    expect(steps).toContainEqual(expect.objectContaining({ step: 'auth', status: 'ok' }));
  });

  test('a request that is sent again under its key begins nothing more', async () => {
    const metadata = await of().again();
    await using _closed = metadata;
    const scope = await of().organization();
    const started: string[] = [];
    const orchestrator = {
      start: (_flow: string, { workflowId }: { readonly workflowId: string }) => {
        started.push(workflowId);
        return Promise.resolve({ runId: 'r' });
      },
      describe: (workflowId: string) =>
        Promise.resolve(started.includes(workflowId) ? RUNNING : null),
    };
    const deps = { metadata, keys: testKeys } as ActivityDeps;
    const onboardings = new Onboardings(deps, orchestrator as unknown as Orchestrator);
    const side = (name: string) => ({
      name,
      connector_type: 'duckdb' as const,
      config: { path: join(folder, 'shop.duckdb') },
    });
    const input = {
      source: side('a'),
      destination: side('b'),
      pipeline: 'first',
      streams: [],
    };
    const first = await onboardings.start(scope, input, 'key');
    expect(await onboardings.start(scope, input, 'key')).toEqual(first);
    expect(started).toHaveLength(1);
    await onboardings.start(scope, input, null);
    await onboardings.start(scope, input, null);
    expect(new Set(started).size).toBe(3);
  });
});
