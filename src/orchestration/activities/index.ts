/** All activities under the names that flows call them by. */
import type { ActivityContext } from '../flow.ts';
import type { FlowActivities } from '../flows/activities.ts';
import { backfillRange, checkBackfill } from './backfill.ts';
import { bronze } from './bronze.ts';
import { connect } from './connect.ts';
import type { ActivityDeps } from './deps.ts';
import { beginExecution, finishExecution, noteRetry } from './execution.ts';
import { gold } from './gold.ts';
import {
  checkConnection,
  createFirstConnection,
  createFirstOrganization,
  createFirstPipeline,
  discoverStreams,
} from './onboarding.ts';
import { replicate, tellReplication } from './replicate.ts';
import { silver } from './silver.ts';

type Activities = {
  readonly [N in keyof FlowActivities]: (
    input: Parameters<FlowActivities[N]>[0],
    context: ActivityContext,
  ) => ReturnType<FlowActivities[N]>;
};

export function createActivities(deps: ActivityDeps): Activities {
  return {
    beginExecution: (input, context) => beginExecution(deps, input, context),
    connect: (input, context) => connect(deps, input, context),
    bronze: (input, context) => bronze(deps, input, context),
    silver: (input, context) => silver(deps, input, context),
    gold: (input, context) => gold(deps, input, context),
    noteRetry: (input, context) => noteRetry(deps, input, context),
    endExecution: (input, context) => finishExecution(deps, input, context),
    replicate: (input, context) => replicate(deps, input, context),
    tellReplication: (input) => tellReplication(deps, input),
    checkBackfill: (input, context) => checkBackfill(deps, input, context),
    backfillRange: (input, context) => backfillRange(deps, input, context),
    createOrganization: (input) => createFirstOrganization(deps, input),
    createConnection: (input, context) => createFirstConnection(deps, input, context),
    checkConnection: (input, context) => checkConnection(deps, input, context),
    discoverStreams: (input, context) => discoverStreams(deps, input, context),
    createPipeline: (input, context) => createFirstPipeline(deps, input, context),
  };
}
