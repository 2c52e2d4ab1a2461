// Stands in for the running system behind the API: does nothing but write down what it was asked.
import { ForebayError } from '../../src/core/errors.ts';
import { claimExecution } from '../../src/metadata/executions.ts';
import type { Onboarding } from '../../src/api/schemas/onboarding.ts';
import type { ControlServices } from '../../src/api/services.ts';

export interface RecordingServices extends ControlServices {
  readonly asked: { readonly name: string; readonly subject: string }[];
  /** What the next connection tests find. */
  testResult: Awaited<ReturnType<ControlServices['testConnection']>> | ForebayError;
  ready: boolean;
  /** Of the next pipelines whose systems are asked to end what they keep. */
  dropFailure: ForebayError | null;
}

const SUCCESS: Awaited<ReturnType<ControlServices['testConnection']>> = {
  success: true,
  message: 'connected',
  metadata: { version: '17.0' },
  steps: [{ step: 'tcp', status: 'ok', message: 'open', fix: null, duration_ms: 1.5 }],
};

const ONBOARDING: Onboarding = {
  workflow_id: 'onboarding-1',
  status: 'running',
  pipeline_id: null,
  error: null,
  steps: [],
};

export function recordingServices(): RecordingServices {
  const asked: { name: string; subject: string }[] = [];
  const note = (name: string, subject: string): void => {
    asked.push({ name, subject });
  };
  const claim: ControlServices['triggerExecution'] = async (transaction, scope, request) => {
    note('triggerExecution', request.pipeline.id);
    const { execution } = await claimExecution(transaction, scope, {
      pipeline_id: request.pipeline.id,
      workflow: 'ETLWorkflow',
      trigger: 'api',
      parameters: JSON.stringify(request.parameters),
    });
    return { executionId: execution.id, estimatedStart: execution.scheduled_at };
  };
  const control =
    (name: string, state: 'running' | 'paused' | 'stopped'): ControlServices['startPipeline'] =>
    (_scope, pipeline) => {
      note(name, pipeline.id);
      const { id } = pipeline;
      return Promise.resolve({ pipeline_id: id, state, workflow_id: id, execution_id: null });
    };
  const services: RecordingServices = {
    asked,
    testResult: SUCCESS,
    ready: true,
    dropFailure: null,
    connectors: () => ({
      postgres: { source: ['snapshot', 'changes'], destination: ['upsert'] },
      duckdb: { source: ['snapshot'], destination: ['upsert'] },
      s3: { source: ['snapshot'], destination: [] },
    }),
    testConnection: (_scope, connection) => {
      note('testConnection', connection.id);
      if (services.testResult instanceof ForebayError) return Promise.reject(services.testResult);
      return Promise.resolve(services.testResult);
    },
    catalog: (_scope, connection) => {
      note('catalog', connection.id);
      return Promise.reject(
        new ForebayError('authentication_failed', { message: 'the server refused the user' }),
      );
    },
    triggerExecution: claim,
    triggerBackfill: async (transaction, scope, { pipeline, backfill }) => {
      note('triggerBackfill', pipeline.id);
      const { execution } = await claimExecution(transaction, scope, {
        pipeline_id: pipeline.id,
        workflow: 'BackfillWorkflow',
        trigger: 'backfill',
        parameters: JSON.stringify(backfill),
      });
      return { executionId: execution.id, estimatedStart: execution.scheduled_at };
    },
    previewBackfill: (_scope, pipeline) => {
      note('previewBackfill', pipeline.id);
      return Promise.resolve([{ stream: 'public.orders', column: 'id', rows: 3 }]);
    },
    executionScheduled: (id) => note('executionScheduled', id),
    cancelExecution: (_scope, id) => {
      note('cancelExecution', id);
      return Promise.resolve();
    },
    startPipeline: control('startPipeline', 'running'),
    stopPipeline: control('stopPipeline', 'stopped'),
    pausePipeline: control('pausePipeline', 'paused'),
    resumePipeline: control('resumePipeline', 'running'),
    startOnboarding: (_scope, { pipeline }) => {
      note('startOnboarding', pipeline);
      return Promise.resolve(ONBOARDING);
    },
    onboarding: (scope, workflowId) => {
      note('onboarding', workflowId);
      const isOwn = workflowId.startsWith(`onboarding-${scope.organizationId}-`);
      return Promise.resolve(isOwn ? ONBOARDING : null);
    },
    resyncPipeline: (_scope, pipeline, { streams }) => {
      note('resyncPipeline', pipeline.id);
      return Promise.resolve({
        pipeline_id: pipeline.id,
        execution_id: pipeline.id,
        state: 'running' as const,
        streams: [...streams],
      });
    },
    keptParts: () =>
      Promise.resolve([{ at: 'source' as const, kind: 'replication slot', name: 'forebay_p_1' }]),
    dropPipeline: (_scope, { pipeline }) => {
      note('dropPipeline', pipeline.id);
      return services.dropFailure === null
        ? Promise.resolve()
        : Promise.reject(services.dropFailure);
    },
    comparePipeline: (_scope, pipeline) => {
      note('comparePipeline', pipeline.id);
      return Promise.resolve({ identical: true, streams: [] });
    },
    readDeadLetter: (_scope, letter) => {
      note('readDeadLetter', letter.id);
      return Promise.resolve(null);
    },
    quarantinedRows: (_scope, pipeline) => {
      note('quarantinedRows', pipeline.id);
      return Promise.resolve([]);
    },
    replayDeadLetters: (_scope, pipeline, { letters }) => {
      note('replayDeadLetters', pipeline.id);
      const done = letters?.map(({ id }) => ({ id, outcome: 'replayed' as const })) ?? null;
      return Promise.resolve({
        replayed: 1,
        failed: 0,
        superseded: 0,
        remaining: 0,
        letters: done,
      });
    },
    dropDeadLetters: (_scope, pipeline) => {
      note('dropDeadLetters', pipeline.id);
      return Promise.resolve({ dropped: 1, remaining: 0 });
    },
    pipelineChanged: (id) => note('pipelineChanged', id),
    lintBenthos: () =>
      Promise.reject(new ForebayError('capability_missing', { message: 'there is no Bento' })),
    models: () =>
      Promise.resolve([
        {
          name: 'daily',
          materialization: 'table',
          description: null,
          dependsOn: ['orders'],
          file: 'daily.sql',
        },
      ]),
    readiness: () => Promise.resolve({ checks: { metadata: services.ready } }),
    metrics: () => Promise.resolve('# TYPE forebay_up gauge\nforebay_up 1\n'),
  };
  return services;
}
