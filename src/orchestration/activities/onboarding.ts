/**
 * First steps of an organisation. What a step makes has the step's own key as its id, by which it is found again when
 * it is done a second time; a name that something else has is refused.
 */
import { CONNECTION_TYPES } from '../../connectors/connection-fields.ts';
import { openSource } from '../../connectors/registry.ts';
import { asForebayError, ForebayError } from '../../core/errors.ts';
import { streamId } from '../../core/stream-schema.ts';
import {
  createConnection,
  findConnection,
  recordConnectionTest,
} from '../../metadata/connections.ts';
import { boundTo, seal, unseal } from '../../metadata/envelope.ts';
import { allOrganizations, createOrganization } from '../../metadata/organizations.ts';
import { createPipeline, findPipeline } from '../../metadata/pipelines.ts';
import { createSchedule, MANUAL_PLAN } from '../../metadata/schedules.ts';
import { scopeOf } from '../../metadata/scope.ts';
import type { ConnectionsTable } from '../../metadata/tables.ts';
import { inTransaction, timeOf } from '../../metadata/transaction.ts';
import type { WrappingKeys } from '../../metadata/wrapping-keys.ts';
import type { ActivityContext } from '../flow.ts';
import type { FlowActivities } from '../flows/activities.ts';
import { lookContext } from './connect.ts';
import { testSystem } from './connection-test.ts';
import { type ActivityDeps, connectionSystem } from './deps.ts';

type Input<N extends keyof FlowActivities> = Parameters<FlowActivities[N]>[0];
type Output<N extends keyof FlowActivities> = ReturnType<FlowActivities[N]>;

export async function createFirstOrganization(
  { metadata: { db } }: ActivityDeps,
  { name }: Input<'createOrganization'>,
): Output<'createOrganization'> {
  const known = (await allOrganizations(db)).find((organization) => organization.name === name);
  const { id } = known ?? (await createOrganization(db, name));
  return { organizationId: id };
}

const BOUND = boundTo('onboarding');

/** Fields of a connection as they may travel through a flow. */
export function sealFields(keys: WrappingKeys, fields: Readonly<Record<string, unknown>>): string {
  return seal(keys.current.key, Buffer.from(JSON.stringify(fields)), BOUND);
}

function openFields({ current, former }: WrappingKeys, sealed: string): Record<string, unknown> {
  for (const { key } of [current, ...former]) {
    const plain = unseal(key, sealed, BOUND);
    if (plain !== null) return JSON.parse(plain.toString()) as Record<string, unknown>;
  }
  throw new ForebayError('secret_key', {
    message: 'the fields of a new connection cannot be read with the key that is set',
  });
}

/** What an earlier attempt of this very step made is its result. */
async function makeOnce(
  id: string,
  make: () => Promise<unknown>,
  find: () => Promise<unknown>,
): Promise<string> {
  try {
    await make();
  } catch (error) {
    if (asForebayError(error).code !== 'already_exists' || (await find()) === null) throw error;
  }
  return id;
}

export async function createFirstConnection(
  { metadata: { db }, keys }: ActivityDeps,
  { organizationId, name, connectorType, sealedFields }: Input<'createConnection'>,
  { stepKey: id }: Pick<ActivityContext, 'stepKey'>,
): Output<'createConnection'> {
  const scope = scopeOf(organizationId);
  const type = CONNECTION_TYPES[connectorType];
  const secretNames = new Set(type?.secrets ?? []);
  const fields = Object.entries(openFields(keys, sealedFields));
  const secrets = fields.filter(([field]) => secretNames.has(field));
  const shown = fields.map(([field, value]) => [field, secretNames.has(field) ? null : value]);
  const connection = {
    id,
    name,
    connector_type: connectorType,
    config: JSON.stringify(Object.fromEntries(shown)),
    secrets: Object.fromEntries(secrets.map(([field, value]) => [field, String(value)])),
  };
  const connectionId = await makeOnce(
    id,
    () => createConnection(db, scope, connection, keys),
    () => findConnection(db, scope, id),
  );
  return { connectionId };
}

async function requireConnection(
  { metadata: { db } }: ActivityDeps,
  organizationId: string,
  connectionId: string,
): Promise<ConnectionsTable> {
  const connection = await findConnection(db, scopeOf(organizationId), connectionId);
  if (connection !== null) return connection;
  throw new ForebayError('not_found', { message: `the connection ${connectionId} was removed` });
}

/** A refusal of the system is a result; one that is starting or full is asked again. */
export async function checkConnection(
  deps: ActivityDeps,
  { organizationId, connectionId }: Input<'checkConnection'>,
  context: ActivityContext,
): Output<'checkConnection'> {
  const scope = scopeOf(organizationId);
  const connection = await requireConnection(deps, organizationId, connectionId);
  const system = await connectionSystem(deps, scope, connection);
  const { test, failure } = await testSystem(system, {
    guard: (guarded) => guarded,
    // A first pipeline reads; whether its source could be followed is another question.
    purpose: 'snapshot',
    signal: context.signal,
  });
  // A host that is not there may be a slip of whoever typed it, and is told at once.
  if (failure?.class === 'transient' && failure.code !== 'unreachable') throw failure;
  const { success, message } = test;
  await recordConnectionTest(deps.metadata.db, scope, {
    id: connectionId,
    status: success ? 'active' : 'error',
    result: JSON.stringify(test),
    at: timeOf(),
  });
  return { success, message };
}

/** Names beyond so many are left out: a pipeline selects them by globs. */
const MOST_NAMES = 500;

export async function discoverStreams(
  deps: ActivityDeps,
  { organizationId, connectionId }: Input<'discoverStreams'>,
  context: ActivityContext,
): Output<'discoverStreams'> {
  const connection = await requireConnection(deps, organizationId, connectionId);
  const system = await connectionSystem(deps, scopeOf(organizationId), connection);
  await using source = await openSource(system, lookContext(context.signal));
  const readable = (await source.discover()).filter((entry) => entry.readable);
  const names = readable.map(({ schema }) => streamId(schema.stream));
  if (names.length <= MOST_NAMES) return { streams: names };
  const schemas = new Set(readable.map(({ schema }) => `${schema.stream.namespace}.*`));
  return { streams: [...schemas].slice(0, MOST_NAMES) };
}

export async function createFirstPipeline(
  { metadata: { db } }: ActivityDeps,
  input: Input<'createPipeline'>,
  { stepKey: id }: Pick<ActivityContext, 'stepKey'>,
): Output<'createPipeline'> {
  const { organizationId, name, sourceConnectionId, destinationConnectionId, streams } = input;
  const scope = scopeOf(organizationId);
  const pipeline = {
    id,
    name,
    source_connection_id: sourceConnectionId,
    destination_connection_id: destinationConnectionId,
    kind: 'etl',
    config: '{}',
    is_active: 1,
    streams: streams.map((stream) => ({ stream, config: '{}' })),
  } as const;
  const make = (): Promise<unknown> =>
    inTransaction(db, async (transaction) => {
      await createPipeline(transaction, scope, pipeline);
      const schedule = { ...MANUAL_PLAN, is_paused: 0, next_fire_at: null } as const;
      await createSchedule(transaction, scope, { pipeline_id: id, ...schedule });
    });
  return { pipelineId: await makeOnce(id, make, () => findPipeline(db, scope, id)) };
}
