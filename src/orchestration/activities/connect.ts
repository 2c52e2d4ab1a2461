/** Both systems are looked at before anything is moved: what is missing fails here, with its fix. */
import { openDestination, openSource } from '../../connectors/registry.ts';
import type { ConnectorContext, Finding } from '../../core/connector.ts';
import type { ActivityContext } from '../flow.ts';
import type { ExecutionRef } from '../flows/activities.ts';
import { type ActivityDeps, loadPipeline } from './deps.ts';
import { systemContext } from './system-context.ts';
import { ExecutionLog } from './execution-log.ts';

const MEMORY_BYTES = 64 * 1024 * 1024;

export function lookContext(signal: AbortSignal): ConnectorContext {
  return systemContext(signal, MEMORY_BYTES);
}

function assertInOrder(findings: readonly Finding[]): void {
  const problem = findings.find(({ severity }) => severity === 'error')?.error ?? null;
  if (problem !== null) throw problem;
}

export async function connect(
  deps: ActivityDeps,
  ref: ExecutionRef,
  context: ActivityContext,
): Promise<null> {
  const { source, destination } = await loadPipeline(deps, ref);
  await using log = new ExecutionLog(deps, ref, { layer: null, context });
  const look = lookContext(context.signal);
  {
    await using opened = await openSource(source, look);
    assertInOrder(await opened.check(null, 'snapshot'));
  }
  {
    await using opened = await openDestination(destination, look);
    assertInOrder(await opened.check());
  }
  log.add('info', `Connected to ${source.entry.title} and ${destination.entry.title}`);
  return null;
}
