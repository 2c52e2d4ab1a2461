/** Business tables from models, in the warehouse. */
import type { ActivityContext } from '../flow.ts';
import type { ExecutionRef } from '../flows/activities.ts';
import type { ActivityDeps } from './deps.ts';
import { layerStep } from './layer-step.ts';

export function gold(
  deps: ActivityDeps,
  ref: ExecutionRef,
  context: ActivityContext,
): Promise<null> {
  return layerStep(deps, ref, { layer: 'gold', context }, () => Promise.resolve({ tables: [] }));
}
