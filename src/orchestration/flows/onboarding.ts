/** From nothing to a first pipeline: organisation, connections, check, discover, pipeline. */
import { ForebayError } from '../../core/errors.ts';
import type { Flow, FlowContext } from '../flow.ts';
import { DEFAULT_RULES } from '../retry-decision.ts';
import { withRetry } from '../with-retry.ts';
import type { FlowActivities } from './activities.ts';

type NewConnection = {
  readonly name: string;
  readonly connectorType: string;
  readonly sealedFields: string;
};
export type OnboardingInput = {
  readonly organization: string;
  readonly source: NewConnection;
  readonly destination: NewConnection;
  readonly pipeline: string;
  /** Empty: all that the source has. */
  readonly streams: readonly string[];
};
export type OnboardingOutput = {
  readonly organizationId: string;
  readonly connectionIds: readonly string[];
  readonly pipelineId: string;
  readonly streams: readonly string[];
};

/** Each step is found again by the names in it, so that it can be done again. */
function step<N extends keyof FlowActivities>(
  ctx: FlowContext<FlowActivities>,
  name: N,
  input: Parameters<FlowActivities[N]>[0],
): Promise<Awaited<ReturnType<FlowActivities[N]>>> {
  return withRetry(ctx, DEFAULT_RULES, { name, input });
}

export const OnboardingWorkflow: Flow<FlowActivities, OnboardingInput, OnboardingOutput> = async (
  ctx,
  { organization, source, destination, pipeline, streams },
) => {
  const { organizationId } = await step(ctx, 'createOrganization', { name: organization });
  const connectionIds: string[] = [];
  for (const connection of [source, destination]) {
    const { connectionId } = await step(ctx, 'createConnection', { organizationId, ...connection });
    connectionIds.push(connectionId);
    const { success, message } = await step(ctx, 'checkConnection', {
      organizationId,
      connectionId,
    });
    if (!success)
      throw new ForebayError('unreachable', { message: `${connection.name}: ${message}` });
  }
  const [sourceConnectionId = '', destinationConnectionId = ''] = connectionIds;
  const found = await step(ctx, 'discoverStreams', {
    organizationId,
    connectionId: sourceConnectionId,
  });
  const chosen = streams.length === 0 ? found.streams : streams;
  const { pipelineId } = await step(ctx, 'createPipeline', {
    organizationId,
    name: pipeline,
    sourceConnectionId,
    destinationConnectionId,
    streams: chosen,
  });
  return { organizationId, connectionIds, pipelineId, streams: chosen };
};
