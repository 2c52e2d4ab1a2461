/** What activities work with; one per process. */
import { CONNECTORS, type NamedSystem, resolveSystem } from '../../connectors/registry.ts';
import { connectionUrl } from '../../connectors/connection-fields.ts';
import { ForebayError } from '../../core/errors.ts';
import { connectionSecrets, findConnection } from '../../metadata/connections.ts';
import type { Metadata } from '../../metadata/database.ts';
import { listPipelineStreams } from '../../metadata/pipeline-streams.ts';
import { findPipeline } from '../../metadata/pipelines.ts';
import { type OrganizationScope, scopeOf } from '../../metadata/scope.ts';
import type { ConnectionsTable, PipelinesTable } from '../../metadata/tables.ts';
import type { WrappingKeys } from '../../metadata/wrapping-keys.ts';
import type { BackoffSettings, ExecutionRef } from '../flows/activities.ts';
import type { ExecutionLog } from './execution-log.ts';
import { type PipelineConfig, readPipelineConfig } from './pipeline-config.ts';
import type { Turn, Turns } from './turns.ts';

export interface ActivityDeps {
  readonly metadata: Metadata;
  readonly keys: WrappingKeys;
  /** The system, held to where the server may go; fails where it names what it may not. */
  readonly guard: (system: NamedSystem) => NamedSystem;
  /** Of DuckDB files, which have one user at a time. */
  readonly turns: Turns;
  /** Folder of the gold models. */
  readonly modelsFolder: string;
  /** For failures that the table of retries does not name. */
  readonly retryFallback: BackoffSettings;
}

/** The system of a stored connection, held to nothing. Connects to nothing. */
export async function storedSystem(
  { metadata, keys }: Pick<ActivityDeps, 'metadata' | 'keys'>,
  scope: OrganizationScope,
  connection: ConnectionsTable,
): Promise<NamedSystem> {
  const secrets = await connectionSecrets(metadata.db, scope, connection.id, keys);
  const config: unknown = JSON.parse(connection.config);
  // Null stands where a secret is.
  const fields: Record<string, unknown> = Object.fromEntries(
    Object.entries(config as object).filter(([, value]) => value !== null),
  );
  for (const [name, secret] of Object.entries(secrets)) fields[name] = secret.reveal();
  return await resolveSystem(connectionUrl(connection.connector_type, fields).reveal());
}

/** The same, held to where the server may go. */
export async function connectionSystem(
  deps: Pick<ActivityDeps, 'metadata' | 'keys' | 'guard'>,
  scope: OrganizationScope,
  connection: ConnectionsTable,
): Promise<NamedSystem> {
  return deps.guard(await storedSystem(deps, scope, connection));
}

export interface PipelineSetup {
  readonly scope: OrganizationScope;
  readonly pipeline: PipelinesTable;
  readonly config: PipelineConfig;
  readonly source: NamedSystem;
  readonly destination: NamedSystem;
}

async function systemOf(
  deps: ActivityDeps,
  scope: OrganizationScope,
  id: string,
): Promise<NamedSystem> {
  const connection = await findConnection(deps.metadata.db, scope, id);
  if (connection !== null) return connectionSystem(deps, scope, connection);
  throw new ForebayError('not_found', { message: `the connection ${id} was removed` });
}

/** A pipeline as it is now, with its systems. */
export async function loadPipeline(
  deps: ActivityDeps,
  ref: Pick<ExecutionRef, 'organizationId' | 'pipelineId'>,
): Promise<PipelineSetup> {
  const scope = scopeOf(ref.organizationId);
  const pipeline = await findPipeline(deps.metadata.db, scope, ref.pipelineId);
  if (pipeline === null) {
    throw new ForebayError('not_found', { message: `the pipeline ${ref.pipelineId} was removed` });
  }
  return {
    scope,
    pipeline,
    config: readPipelineConfig(
      pipeline.config,
      await listPipelineStreams(deps.metadata.db, scope, pipeline.id),
    ),
    source: await systemOf(deps, scope, pipeline.source_connection_id),
    destination: await systemOf(deps, scope, pipeline.destination_connection_id),
  };
}

/** Files are used by one at a time; servers by as many as come. */
export function withSystem<T>(
  { turns }: Pick<ActivityDeps, 'turns'>,
  system: NamedSystem,
  turn: Turn,
  act: () => Promise<T>,
): Promise<T> {
  if (system.entry !== CONNECTORS['duckdb']) return act();
  return turns.take(system.address.identity, turn, act);
}

/** The turn of an execution at its destination; its log tells whom it waits for. */
export function turnOf(
  ref: Pick<ExecutionRef, 'organizationId' | 'executionId'>,
  { pipeline, destination }: Pick<PipelineSetup, 'pipeline' | 'destination'>,
  { log, signal }: { readonly log: Pick<ExecutionLog, 'add'>; readonly signal: AbortSignal },
): Turn {
  const { organizationId, executionId } = ref;
  const label = `execution ${executionId} of pipeline ${pipeline.name}`;
  return {
    signal,
    who: { organizationId, label },
    waits: (holder) => {
      const isOwn = holder?.organizationId === organizationId;
      const other = isOwn ? holder.label : 'another execution';
      log.add('info', `Waits for ${destination.address.display}: ${other} has it to itself`);
    },
  };
}
