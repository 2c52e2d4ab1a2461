/** Onboarding as a workflow whose id tells the organisation, so that no other one can ask for it. */
import { findOrganization } from '../../metadata/organizations.ts';
import type { OrganizationScope } from '../../metadata/scope.ts';
import { asForebayError, ForebayError } from '../../core/errors.ts';
import { uuidv7 } from '../../core/uuid.ts';
import type { ActivityDeps } from '../../orchestration/activities/deps.ts';
import { sealFields } from '../../orchestration/activities/onboarding.ts';
import type { FlowName } from '../../orchestration/flows/index.ts';
import type { Orchestrator } from '../../orchestration/orchestrator.ts';
import { connectorTypeOf } from '../schemas/connectors.ts';
import type { Onboarding, OnboardingInput } from '../schemas/onboarding.ts';

const FLOW: FlowName = 'OnboardingWorkflow';

export class Onboardings {
  readonly #deps: ActivityDeps;
  readonly #orchestrator: Orchestrator;

  constructor(deps: ActivityDeps, orchestrator: Orchestrator) {
    this.#deps = deps;
    this.#orchestrator = orchestrator;
  }

  /** Under the same key it is the same one, also where its answer was lost with the server. */
  async start(
    scope: OrganizationScope,
    input: OnboardingInput,
    key: string | null,
  ): Promise<Onboarding> {
    const { metadata, keys } = this.#deps;
    const organization = await findOrganization(metadata.db, scope);
    if (organization === null)
      throw new ForebayError('not_found', { message: 'the organisation was removed' });
    const sealed = ({ name, connector_type: type, config }: OnboardingInput['source']) => ({
      name,
      connectorType: connectorTypeOf(type),
      sealedFields: sealFields(keys, config),
    });
    const workflowId = `onboarding-${scope.organizationId}-${key ?? uuidv7()}`;
    const begun = key === null ? null : await this.find(scope, workflowId);
    if (begun !== null) return begun;
    const { pipeline, streams } = input;
    const flowInput = {
      organization: organization.name,
      source: sealed(input.source),
      destination: sealed(input.destination),
      pipeline,
      streams,
    };
    try {
      await this.#orchestrator.start(FLOW, { workflowId, input: flowInput });
    } catch (error) {
      // The same request was sent twice at once.
      if (key === null || asForebayError(error).code !== 'workflow_exists') throw error;
    }
    return {
      workflow_id: workflowId,
      status: 'running',
      pipeline_id: null,
      error: null,
      steps: [],
    };
  }

  async find(scope: OrganizationScope, workflowId: string): Promise<Onboarding | null> {
    if (!workflowId.startsWith(`onboarding-${scope.organizationId}-`)) return null;
    const run = await this.#orchestrator.describe(workflowId);
    if (run === null) return null;
    const status = run.status === 'parked' ? 'failed' : run.status;
    const steps = run.pending.map(({ kind, name, attempt, dueAt }) => ({
      kind,
      name,
      attempt,
      due_at: dueAt,
    }));
    const error =
      run.error === null
        ? null
        : { code: run.error.code, message: run.error.message, fix: run.error.fix };
    return {
      workflow_id: workflowId,
      status,
      pipeline_id: await this.#made(run.status, workflowId),
      error,
      steps,
    };
  }

  async #made(status: string, workflowId: string): Promise<string | null> {
    if (status !== 'completed') return null;
    const outcome = await this.#orchestrator.result(workflowId);
    if (outcome.status !== 'completed' || typeof outcome.result !== 'object') return null;
    const { pipelineId } = outcome.result as { readonly pipelineId?: unknown };
    return typeof pipelineId === 'string' ? pipelineId : null;
  }
}
