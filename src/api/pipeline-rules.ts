/** What must hold of a pipeline beyond the form of its fields. */
import { findBenthosConfiguration } from '../metadata/benthos-configurations.ts';
import { findConnection } from '../metadata/connections.ts';
import type { MetadataTransaction } from '../metadata/transaction.ts';
import { fieldError, RequestError } from './problem.ts';
import type { Caller } from './route.ts';
import { CONNECTOR_TYPES } from './schemas/connectors.ts';
import type { PipelineInput } from './schemas/pipelines.ts';
import { type SchedulePlan, scheduleFault } from './schemas/schedules.ts';
import type { ControlServices } from './services.ts';

export function checkSchedule(plan: SchedulePlan): void {
  const fault = scheduleFault(plan);
  if (fault !== null) {
    throw fieldError('body', `/${fault.field}`, fault.message, 'schedule_invalid');
  }
}

const OF_REPLICATIONS = ['schema', 'load', 'deletes'] as const;
const OF_EXECUTIONS = ['layers', 'quality_rules', 'event_time_column'] as const;

/** Silver and gold are on where `layers` does not name them, and are no layers of an ingestion either way. */
function checkIngestion({ layers, quality_rules: rules, streams }: PipelineInput): void {
  const refuse = (pointer: string, message: string): never => {
    throw fieldError('body', pointer, message);
  };
  if (layers?.bronze === false) refuse('/layers/bronze', 'is the one layer of an ingestion');
  if (layers?.silver_mode === 'history') {
    refuse('/layers/silver_mode', 'an ingestion has no silver');
  }
  if (layers?.models !== undefined) refuse('/layers/models', 'an ingestion has no gold');
  const ruled = 'rules hold rows back from silver, which an ingestion does not have';
  if (rules !== undefined) refuse('/quality_rules', ruled);
  const at = streams.findIndex((one) => typeof one !== 'string' && one.quality_rules !== undefined);
  if (at >= 0) refuse(`/streams/${at}/quality_rules`, ruled);
}

/** What a pipeline of its kind has no use for is refused: it would be thought to be done. */
function checkKind(input: PipelineInput): void {
  if (input.kind !== 'replication') {
    const field = OF_REPLICATIONS.find((name) => input[name] !== undefined);
    if (field !== undefined) throw fieldError('body', `/${field}`, 'is of replications alone');
    if (input.kind === 'ingestion') checkIngestion(input);
    return;
  }
  if (input.schedule_type !== 'manual') {
    throw fieldError('body', '/schedule_type', 'a replication runs until it is stopped');
  }
  const field = OF_EXECUTIONS.find((name) => input[name] !== undefined);
  if (field !== undefined) throw fieldError('body', `/${field}`, 'a replication has no layers');
  const at = input.streams.findIndex((stream) => typeof stream !== 'string');
  if (at >= 0) {
    const message =
      'a replication takes names and globs: what else there is to say is of executions';
    throw fieldError('body', `/streams/${at}`, message);
  }
}

export interface RulesContext {
  readonly transaction: MetadataTransaction;
  readonly caller: Caller;
  readonly services: ControlServices;
}

async function checkConnection(
  { transaction, caller, services }: RulesContext,
  input: PipelineInput,
  role: 'source' | 'destination',
): Promise<void> {
  const field = `${role}_connection_id` as const;
  const row = await findConnection(transaction, caller.scope, input[field]);
  if (row === null) {
    throw fieldError('body', `/${field}`, 'names no connection', 'request_unprocessable');
  }
  const type = CONNECTOR_TYPES.find((known) => known === row.connector_type);
  const can = type === undefined ? [] : (services.connectors()[type]?.[role] ?? []);
  if (can.length > 0) return;
  const message = `the connector ${row.connector_type} cannot be a ${role} in this release`;
  throw new RequestError('capability_missing', {
    message,
    status: 422,
    fix: 'See /api/v1/connectors for what each can do.',
    fields: [{ in: 'body', pointer: `/${field}`, code: 'capability_missing', message }],
  });
}

async function checkBenthos(context: RulesContext, ids: readonly string[]): Promise<void> {
  for (const [index, id] of ids.entries()) {
    const row = await findBenthosConfiguration(context.transaction, context.caller.scope, id);
    if (row !== null) continue;
    const pointer = `/benthos_configuration_ids/${index}`;
    throw fieldError('body', pointer, 'names no Benthos configuration', 'request_unprocessable');
  }
}

export async function checkPipeline(context: RulesContext, input: PipelineInput): Promise<void> {
  checkSchedule({
    schedule_type: input.schedule_type,
    cron_expression: input.cron_expression,
    interval_seconds: input.interval_seconds,
    time_zone: input.time_zone,
    overlap_policy: input.overlap_policy,
    catchup_window_seconds: input.catchup_window_seconds,
  });
  checkKind(input);
  await checkConnection(context, input, 'source');
  await checkConnection(context, input, 'destination');
  await checkBenthos(context, input.benthos_configuration_ids ?? []);
}
