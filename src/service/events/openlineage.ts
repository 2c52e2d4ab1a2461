/** Begin and end of every execution to an endpoint that takes run events of OpenLineage. */
import { z } from 'zod';
import type { Secret } from '../../core/secret.ts';
import { listColumnLineage } from '../../metadata/column-lineage.ts';
import { findConnection } from '../../metadata/connections.ts';
import type { MetadataDb } from '../../metadata/database.ts';
import type { OutboxEvent } from '../../metadata/events-outbox.ts';
import { findPipeline } from '../../metadata/pipelines.ts';
import { listQualityMetrics } from '../../metadata/quality-metrics.ts';
import { scopeOf } from '../../metadata/scope.ts';
import { createHttpPost, type PostTarget } from './http-post.ts';
import { DELIVERED, outcomeOfFailure, outcomeOfReply, type Publisher } from './publisher.ts';
import { type RunFacts, runEvent, runState } from './run-event.ts';

export interface OpenLineageOptions extends PostTarget {
  readonly id: string;
  readonly token: Secret | null;
  /** Of the jobs. */
  readonly namespace: string;
  readonly db: MetadataDb;
}

const dataSchema = z.object({
  execution_id: z.string(),
  pipeline_id: z.string(),
  pipeline_name: z.string(),
  status: z.string(),
  error: z.object({ message: z.string() }).nullish(),
});

/** Null for events that say nothing of a run. */
async function factsOf(
  event: OutboxEvent,
  { db, namespace }: Pick<OpenLineageOptions, 'db' | 'namespace'>,
): Promise<RunFacts | null> {
  if (runState(event.type, null) === null) return null;
  const data = dataSchema.parse(JSON.parse(event.data));
  const state = runState(event.type, data.status);
  if (state === null) return null;
  const scope = scopeOf(event.organization_id);
  const { execution_id: id, pipeline_id: pipelineId } = data;
  const pipeline = await findPipeline(db, scope, pipelineId);
  const find = async (connection: string | undefined): Promise<RunFacts['source']> =>
    connection === undefined ? null : await findConnection(db, scope, connection);
  return {
    state,
    at: event.created_at,
    namespace,
    execution: { id, pipeline_name: data.pipeline_name },
    error: data.error?.message ?? null,
    source: await find(pipeline?.source_connection_id),
    destination: await find(pipeline?.destination_connection_id),
    lineage: state === 'START' ? [] : await listColumnLineage(db, scope, id),
    metrics: state === 'START' ? [] : await listQualityMetrics(db, scope, id),
  };
}

export function createOpenLineage(options: OpenLineageOptions): Publisher {
  const { id, token, namespace, db, ...target } = options;
  const post = createHttpPost(target);
  const headers = {
    'content-type': 'application/json',
    ...(token === null ? {} : { authorization: `Bearer ${token.reveal()}` }),
  };
  return {
    id,
    async send(event, signal) {
      try {
        const facts = await factsOf(event, { db, namespace });
        if (facts === null) return DELIVERED;
        const body = JSON.stringify(runEvent(facts));
        return outcomeOfReply(await post.send({ headers, body, signal }));
      } catch (error) {
        return outcomeOfFailure(error);
      }
    },
    async [Symbol.asyncDispose]() {
      post[Symbol.dispose]();
    },
  };
}
