// A pipeline from one DuckDB file into another, whose layers are run one by one, without a server.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { uuidv7 } from '../../src/core/uuid.ts';
import { type Metadata, openMetadata } from '../../src/metadata/database.ts';
import { listExecutionLayers } from '../../src/metadata/execution-layers.ts';
import { claimExecution, startExecution } from '../../src/metadata/executions.ts';
import { createOrganization } from '../../src/metadata/organizations.ts';
import type { NewPipeline } from '../../src/metadata/pipelines.ts';
import { type OrganizationScope, scopeOf } from '../../src/metadata/scope.ts';
import type { ExecutionLayersTable } from '../../src/metadata/tables.ts';
import type { ActivityDeps } from '../../src/orchestration/activities/deps.ts';
import { createActivities } from '../../src/orchestration/activities/index.ts';
import { Turns } from '../../src/orchestration/activities/turns.ts';
import type { ActivityContext } from '../../src/orchestration/flow.ts';
import type { ExecutionRef, LayerName } from '../../src/orchestration/flows/activities.ts';
import { runSql } from './duckdb-fixture.ts';
import { aConnection, aPipeline } from './metadata-builders.ts';
import { testKeys } from './metadata-stores.ts';

export interface LayerRun extends AsyncDisposable {
  readonly metadata: Metadata;
  readonly deps: ActivityDeps;
  readonly scope: OrganizationScope;
  readonly warehouse: string;
  pipeline(content: Partial<NewPipeline>): Promise<string>;
  execution(pipelineId: string): Promise<ExecutionRef>;
  run(ref: ExecutionRef, layer: LayerName): Promise<null>;
  layer(ref: ExecutionRef, layer: LayerName): Promise<ExecutionLayersTable | undefined>;
  model(name: string, sql: string): void;
}

export const stepContext = (): ActivityContext => ({
  signal: new AbortController().signal,
  attempt: 1,
  epoch: 1,
  lastHeartbeat: null,
  heartbeat: () => {},
  stepKey: uuidv7(),
});

/** `tables`: statements that make the source. */
export async function openLayers(...tables: readonly string[]): Promise<LayerRun> {
  const folder = mkdtempSync(join(tmpdir(), 'fb-layers-'));
  const modelsFolder = join(folder, 'models');
  mkdirSync(modelsFolder);
  const [shop, warehouse] = [join(folder, 'shop.duckdb'), join(folder, 'warehouse.duckdb')];
  await runSql(shop, tables);
  const metadata = await openMetadata({ kind: 'sqlite', path: join(folder, 'forebay.db') });
  const { db } = metadata;
  const scope = scopeOf((await createOrganization(db, 'harbour')).id);
  const connect = async (path: string): Promise<string> => {
    const config = JSON.stringify({ path });
    return (await aConnection(db, scope, { connector_type: 'duckdb', config, secrets: {} })).id;
  };
  const connections = {
    source_connection_id: await connect(shop),
    destination_connection_id: await connect(warehouse),
  };
  const deps: ActivityDeps = {
    metadata,
    keys: testKeys,
    guard: (system) => system,
    turns: new Turns(),
    modelsFolder,
    retryFallback: { maxAttempts: 1, initialDelayMs: 1, maxDelayMs: 1, multiplier: 1 },
  };
  const activities = createActivities(deps);
  return {
    metadata,
    deps,
    scope,
    warehouse,
    pipeline: async (content) => (await aPipeline(db, scope, { ...connections, ...content })).id,
    execution: async (pipelineId) => {
      const { execution } = await claimExecution(db, scope, {
        pipeline_id: pipelineId,
        workflow: 'ETLWorkflow',
        trigger: 'manual',
        parameters: '{}',
      });
      await startExecution(db, scope, { id: execution.id, run_id: null });
      return { organizationId: scope.organizationId, pipelineId, executionId: execution.id };
    },
    run: (ref, layer) =>
      layer === 'bronze'
        ? activities.bronze(
            { ...ref, parameters: { dateRange: null, force: false } },
            stepContext(),
          )
        : activities[layer](ref, stepContext()),
    layer: async ({ executionId }, layer) =>
      (await listExecutionLayers(db, scope, [executionId])).find((row) => row.layer === layer),
    model: (name, sql) => {
      writeFileSync(
        join(modelsFolder, `${name}.sql`),
        `---\nmaterialization: table\n---\n${sql}\n`,
      );
    },
    [Symbol.asyncDispose]: async () => {
      await metadata[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true });
    },
  };
}
