import { z } from 'zod';
import {
  createConnection,
  deleteConnection,
  findConnection,
  listConnections,
  recordConnectionTest,
  updateConnection,
} from '../../metadata/connections.ts';
import type { ConnectionsTable } from '../../metadata/tables.ts';
import type { MetadataDb } from '../../metadata/database.ts';
import { timeOf, type MetadataTransaction } from '../../metadata/transaction.ts';
import { type SplitConfig, splitConfig, storedSecrets } from '../connection-config.ts';
import { demandVersion } from '../etag.ts';
import { mergePatch } from '../merge-patch.ts';
import { listed, listedOf, pageOf } from '../page.ts';
import { fieldError, notFound, upstreamError } from '../problem.ts';
import { readPart } from '../read-request.ts';
import {
  type Call,
  type ChangeCall,
  changeRoute,
  type Effect,
  type Reply,
  readRoute,
  type Route,
} from '../route.ts';
import {
  catalogSchema,
  type ConnectionInput,
  connectionInput,
  connectionListSchema,
  connectionSchema,
  type ConnectionTest,
  connectionTestSchema,
  connectorListSchema,
} from '../schemas/connections.ts';
import {
  CONNECTOR_TYPES,
  connectorConfiguration,
  type ConnectorType,
  connectorTypeOf,
} from '../schemas/connectors.ts';
import { type IdParams, idParams, noBody, pageQuery, storedId } from '../schemas/fields.ts';

const PATH = '/api/v1/connections';
const EXAMPLE: z.input<typeof connectionInput> = {
  name: 'shop',
  connector_type: 'postgres',
  config: {
    host: 'shop-db.internal',
    database: 'shop',
    user: 'forebay',
    password: 'correct horse battery staple',
    ssl_mode: 'verify-full',
  },
};

type Config = Readonly<Record<string, unknown>>;

/** Stored by these routes. */
const configOf = (row: ConnectionsTable): Config => JSON.parse(row.config) as Config;

function view(row: ConnectionsTable): Record<string, unknown> {
  const config = configOf(row);
  return {
    id: row.id,
    name: row.name,
    connector_type: row.connector_type,
    config,
    has_secret: storedSecrets(config).size > 0,
    status: row.status,
    last_test_at: row.last_test_at,
    last_test_result: row.last_test_result === null ? null : JSON.parse(row.last_test_result),
    version: row.version,
    created_at: row.created_at,
    updated_at: row.updated_at,
  };
}

const shown = (row: ConnectionsTable, status: number): Reply => ({
  status,
  body: view(row),
  version: row.version,
});

type IdCall = Pick<Call<IdParams, unknown, unknown>, 'caller' | 'params'>;

async function required(db: MetadataDb, { caller, params }: IdCall): Promise<ConnectionsTable> {
  const id = storedId(params.id);
  const row = id === null ? null : await findConnection(db, caller.scope, id);
  if (row === null) throw notFound('connection');
  return row;
}

const audit = (action: string, row: ConnectionsTable, split?: SplitConfig): Effect['audit'] => ({
  action: `connection.${action}`,
  resourceType: 'connection',
  resourceId: row.id,
  details: {
    name: row.name,
    connector_type: row.connector_type,
    ...(split === undefined ? {} : { config: split.shown, secrets: Object.keys(split.secrets) }),
  },
});

async function replace(
  call: ChangeCall<IdParams, unknown, unknown>,
  transaction: MetadataTransaction,
  row: ConnectionsTable,
  input: ConnectionInput,
): Promise<Effect> {
  const version = demandVersion(call.precondition, row.version);
  if (connectorTypeOf(input.connector_type) !== row.connector_type) {
    throw fieldError('body', '/connector_type', 'cannot be changed', 'request_unprocessable');
  }
  const split = splitConfig(
    connectorTypeOf(input.connector_type),
    input.config,
    storedSecrets(configOf(row)),
  );
  const config = JSON.stringify(split.shown);
  const secretsChanged = Object.keys(split.secrets).length > 0;
  const changes = {
    name: input.name,
    ...(config === row.config ? {} : { config }),
    ...(secretsChanged ? { secrets: split.secrets } : {}),
  };
  const after = await updateConnection(
    transaction,
    call.caller.scope,
    { id: row.id, version, changes },
    call.context.keys,
  );
  return { ...shown(after, 200), audit: audit('update', after, split) };
}

const create = changeRoute({
  method: 'POST',
  path: PATH,
  operation: 'createConnection',
  summary: 'Makes a connection.',
  tag: 'Connections',
  permission: 'edit',
  body: connectionInput,
  example: EXAMPLE,
  replies: { 201: connectionSchema },
  failures: ['already_exists'],
  change: async ({ body, caller, context }, transaction) => {
    const type = connectorTypeOf(body.connector_type);
    const split = splitConfig(type, body.config, new Set());
    const secrets = Object.fromEntries(
      Object.entries(split.secrets).filter((entry): entry is [string, string] => entry[1] !== null),
    );
    const row = await createConnection(
      transaction,
      caller.scope,
      { name: body.name, connector_type: type, config: JSON.stringify(split.shown), secrets },
      context.keys,
    );
    return {
      ...shown(row, 201),
      headers: { location: `${PATH}/${row.id}` },
      audit: audit('create', row, split),
    };
  },
});

const change = {
  path: `${PATH}/{id}`,
  tag: 'Connections',
  permission: 'edit',
  conditional: true,
  params: idParams,
  replies: { 200: connectionSchema },
  failures: ['already_exists', 'request_unprocessable'],
} as const;

const put = changeRoute({
  ...change,
  method: 'PUT',
  operation: 'replaceConnection',
  summary:
    'Replaces a connection. Secrets that are left out or null stay; an empty text takes one away.',
  body: connectionInput,
  example: EXAMPLE,
  change: async (call, transaction) =>
    replace(call, transaction, await required(transaction, call), call.body),
});

const patch = changeRoute({
  ...change,
  method: 'PATCH',
  operation: 'changeConnection',
  summary: 'Changes what is named, as a JSON merge patch.',
  body: z.record(z.string(), z.unknown()),
  example: { config: { host: 'other-db.internal' } },
  change: async (call, transaction) => {
    const row = await required(transaction, call);
    const now = { name: row.name, connector_type: row.connector_type, config: configOf(row) };
    const input = readPart('body', connectionInput, mergePatch(now, call.body)) as ConnectionInput;
    return replace(call, transaction, row, input);
  },
});

const remove = changeRoute({
  ...change,
  method: 'DELETE',
  operation: 'deleteConnection',
  summary: 'Deletes a connection that no pipeline uses.',
  replies: { 204: null },
  failures: ['in_use'],
  change: async (call, transaction) => {
    const row = await required(transaction, call);
    const version = demandVersion(call.precondition, row.version);
    await deleteConnection(transaction, call.caller.scope, { id: row.id, version });
    return { status: 204, audit: audit('delete', row) };
  },
});

const test = changeRoute({
  method: 'POST',
  path: `${PATH}/{id}/test`,
  operation: 'testConnection',
  summary: 'Tries the connection step by step. A failed test is an answer, not an error.',
  tag: 'Connections',
  permission: 'operate',
  params: idParams,
  body: noBody,
  replies: { 200: connectionTestSchema },
  failures: ['capability_missing', 'secret_key'],
  upstream: true,
  prepare: async (call): Promise<ConnectionTest> => {
    const row = await required(call.context.db, call);
    try {
      return await call.context.services.testConnection(call.caller.scope, row, call.signal());
    } catch (error) {
      throw upstreamError(error);
    }
  },
  change: async (call, transaction, result) => {
    const row = await required(transaction, call);
    await recordConnectionTest(transaction, call.caller.scope, {
      id: row.id,
      status: result.success ? 'active' : 'error',
      result: JSON.stringify(result),
      at: timeOf(),
    });
    return { status: 200, body: result, audit: audit('test', row) };
  },
});

export const connectionRoutes: readonly Route[] = [
  readRoute({
    path: '/api/v1/connectors',
    operation: 'listConnectors',
    summary: 'Types of systems, with what a connection to each is configured with.',
    tag: 'Connections',
    permission: 'read',
    query: z.strictObject(pageQuery),
    replies: { 200: connectorListSchema },
    handle: (call) => {
      const capabilities = call.context.services.connectors();
      const { rows, nextCursor } = listedOf('connectors', call, CONNECTOR_TYPES, (type) => type);
      const connectors = rows.map((type: ConnectorType) => ({
        connector_type: type,
        title: connectorConfiguration(type).title,
        source: capabilities[type]?.source ?? [],
        destination: capabilities[type]?.destination ?? [],
        config_schema: connectorConfiguration(type).jsonSchema,
      }));
      return Promise.resolve({ status: 200, body: { connectors, next_cursor: nextCursor } });
    },
  }),
  readRoute({
    path: PATH,
    operation: 'listConnections',
    summary: 'Connections, newest first.',
    tag: 'Connections',
    permission: 'read',
    query: z.strictObject(pageQuery),
    replies: { 200: connectionListSchema },
    handle: async (call) => {
      const page = pageOf('connections', call);
      const found = await listConnections(call.context.db, call.caller.scope, page);
      const { rows, nextCursor } = listed('connections', call, found);
      return { status: 200, body: { connections: rows.map(view), next_cursor: nextCursor } };
    },
  }),
  create,
  readRoute({
    path: `${PATH}/{id}`,
    operation: 'getConnection',
    summary: 'One connection.',
    tag: 'Connections',
    permission: 'read',
    params: idParams,
    replies: { 200: connectionSchema },
    handle: async (call) => shown(await required(call.context.db, call), 200),
  }),
  put,
  patch,
  remove,
  test,
  readRoute({
    path: `${PATH}/{id}/catalog`,
    operation: 'getCatalog',
    summary: 'What the system has that can be read, asked now.',
    tag: 'Connections',
    permission: 'operate',
    params: idParams,
    replies: { 200: catalogSchema },
    failures: ['capability_missing', 'secret_key'],
    upstream: true,
    handle: async (call) => {
      const row = await required(call.context.db, call);
      try {
        const { services } = call.context;
        return { status: 200, body: await services.catalog(call.caller.scope, row, call.signal()) };
      } catch (error) {
        throw upstreamError(error);
      }
    },
  }),
];
