/** From nothing to a first pipeline: organisation, connections, check, discover, pipeline. */
import { ForebayError } from '../../core/errors.ts';
import type { Flow } from '../flow.ts';
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

export const OnboardingWorkflow: Flow<FlowActivities, OnboardingInput, OnboardingOutput> = async (
  ctx,
  { organization, source, destination, pipeline, streams },
) => {
  const { organizationId } = await ctx.run('createOrganization', { name: organization });
  const connectionIds: string[] = [];
  for (const connection of [source, destination]) {
    const { connectionId } = await ctx.run('createConnection', { organizationId, ...connection });
    connectionIds.push(connectionId);
    const { success, message } = await ctx.run('checkConnection', { organizationId, connectionId });
    if (!success)
      throw new ForebayError('unreachable', { message: `${connection.name}: ${message}` });
  }
  const [sourceConnectionId = '', destinationConnectionId = ''] = connectionIds;
  const found = await ctx.run('discoverStreams', {
    organizationId,
    connectionId: sourceConnectionId,
  });
  const chosen = streams.length === 0 ? found.streams : streams;
  const { pipelineId } = await ctx.run('createPipeline', {
    organizationId,
    name: pipeline,
    sourceConnectionId,
    destinationConnectionId,
    streams: chosen,
  });
  return { organizationId, connectionIds, pipelineId, streams: chosen };
};
