/** Ends what a pipeline keeps at its systems: a slot that nobody reads fills the disk of its source. */
import { CONNECTORS, openDestination, openSource } from '../../connectors/registry.ts';
import { ForebayError } from '../../core/errors.ts';
import { dropPipeline as dropAt } from '../../engine/drop.ts';
import { findConnection } from '../../metadata/connections.ts';
import type { OrganizationScope } from '../../metadata/scope.ts';
import type { PipelinesTable } from '../../metadata/tables.ts';
import {
  type ActivityDeps,
  loadPipeline,
  type PipelineSetup,
  withSystem,
} from '../../orchestration/activities/deps.ts';
import { engineName } from '../../orchestration/activities/extract.ts';
import { systemContext } from '../../orchestration/activities/system-context.ts';
import type { KeptPart } from '../schemas/pipelines.ts';
import { follows } from './replications.ts';

/** Two of them fit into the minute that a request has. */
const SIDE_MS = 25_000;
const MEMORY_BYTES = 64 * 1024 * 1024;

function engineNames(pipeline: PipelinesTable): readonly string[] {
  const follow = engineName('follow', pipeline.id);
  return follows(pipeline) ? [follow] : [follow, engineName('query', pipeline.id)];
}

/** What the systems may keep of one that ran, by its names alone. Connects to nothing and opens no secret. */
export async function keptParts(
  { metadata }: Pick<ActivityDeps, 'metadata'>,
  scope: OrganizationScope,
  pipeline: PipelinesTable,
): Promise<readonly KeptPart[]> {
  const source = await findConnection(metadata.db, scope, pipeline.source_connection_id);
  const keeps = CONNECTORS[source?.connector_type ?? '']?.keeps;
  // One that reads by query has nothing there.
  const atSource = (await keeps?.(engineName('follow', pipeline.id))) ?? [];
  return [
    ...atSource.map((part) => ({ at: 'source' as const, ...part })),
    ...engineNames(pipeline).map((name) => ({
      at: 'destination' as const,
      kind: 'checkpoint',
      name: `_forebay.checkpoints: ${name}`,
    })),
  ];
}

async function within<T>(
  side: string,
  signal: AbortSignal,
  act: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = AbortSignal.timeout(SIDE_MS);
  try {
    return await act(AbortSignal.any([signal, limit]));
  } catch (error) {
    signal.throwIfAborted();
    const isHeld = error instanceof ForebayError && error.code === 'file_locked';
    if (!limit.aborted || isHeld) throw error;
    const message = `the ${side} did not answer within ${SIDE_MS / 1000} s`;
    throw new ForebayError('timeout', { message, cause: error });
  }
}

async function dropAtSource(
  { pipeline, source }: PipelineSetup,
  signal: AbortSignal,
): Promise<void> {
  if (source.entry.keeps === undefined) return;
  await using opened = await openSource(source, systemContext(signal, MEMORY_BYTES));
  for (const name of engineNames(pipeline)) await dropAt(name, opened, null);
}

/** Parts of a backfill that failed are remembered under names of their own. */
async function dropAtDestination(
  deps: ActivityDeps,
  { pipeline, destination }: PipelineSetup,
  signal: AbortSignal,
): Promise<void> {
  let begun = false;
  const drop = async (): Promise<void> => {
    begun = true;
    await using opened = await openDestination(destination, systemContext(signal, MEMORY_BYTES));
    const parts = `${engineName('query', pipeline.id)}_`;
    const known = await opened.pipelines();
    const names = [...engineNames(pipeline), ...known.filter((name) => name.startsWith(parts))];
    for (const name of names) await dropAt(name, null, opened);
  };
  try {
    const label = `the removal of pipeline ${pipeline.name}`;
    const who = { organizationId: pipeline.organization_id, label };
    await withSystem(deps, destination, { signal, who }, drop);
  } catch (error) {
    if (begun || !signal.aborted) throw error;
    throw new ForebayError('file_locked', {
      message: 'An execution has the DuckDB file to itself',
      fix: 'Pause or stop what writes to the file, or wait for its end.',
      cause: error,
    });
  }
}

/**
 * At the source first: what is remembered at the destination does no harm. All of it may be done again. Tables and
 * dead letters stay.
 */
export async function dropPipeline(
  deps: ActivityDeps,
  scope: OrganizationScope,
  request: { readonly pipeline: PipelinesTable; readonly signal: AbortSignal },
): Promise<void> {
  const { pipeline, signal } = request;
  const ref = { organizationId: scope.organizationId, pipelineId: pipeline.id };
  const setup = await loadPipeline(deps, ref);
  await within('source', signal, (limited) => dropAtSource(setup, limited));
  await within('destination', signal, (limited) => dropAtDestination(deps, setup, limited));
}
