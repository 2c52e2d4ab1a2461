import { z } from 'zod';
import {
  createBenthosConfiguration,
  deleteBenthosConfiguration,
  findBenthosConfiguration,
  listBenthosConfigurations,
  updateBenthosConfiguration,
} from '../../metadata/benthos-configurations.ts';
import type { BenthosConfigurationsTable } from '../../metadata/tables.ts';
import type { MetadataDb } from '../../metadata/database.ts';
import type { MetadataTransaction } from '../../metadata/transaction.ts';
import { demandVersion } from '../etag.ts';
import { mergePatch } from '../merge-patch.ts';
import { listed, pageOf } from '../page.ts';
import { notFound, upstreamError } from '../problem.ts';
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
import { type IdParams, idParams, noBody, pageQuery, storedId } from '../schemas/fields.ts';
import {
  benthosInput,
  benthosListSchema,
  benthosSchema,
  lintSchema,
} from '../schemas/operations.ts';

const PATH = '/api/v1/benthos-configurations';
const TAG = 'Benthos configurations';
const EXAMPLE: z.input<typeof benthosInput> = {
  name: 'masking',
  configuration: 'pipeline:\n  processors:\n    - mapping: \'root = this.without("email")\'\n',
};

async function required(
  db: MetadataDb,
  { caller, params }: Pick<Call<IdParams, unknown, unknown>, 'caller' | 'params'>,
): Promise<BenthosConfigurationsTable> {
  const id = storedId(params.id);
  const row = id === null ? null : await findBenthosConfiguration(db, caller.scope, id);
  if (row === null) throw notFound('Benthos configuration');
  return row;
}

function view(row: BenthosConfigurationsTable): Record<string, unknown> {
  const { organization_id: _, ...rest } = row;
  return rest;
}

const shown = (row: BenthosConfigurationsTable, status: number): Reply => ({
  status,
  body: view(row),
  version: row.version,
});

const audit = (action: string, row: BenthosConfigurationsTable): Effect['audit'] => ({
  action: `benthos_configuration.${action}`,
  resourceType: 'benthos_configuration',
  resourceId: row.id,
  details: { name: row.name, version: row.version },
});

async function replace(
  call: ChangeCall<IdParams, unknown, unknown>,
  transaction: MetadataTransaction,
  row: BenthosConfigurationsTable,
  changes: z.output<typeof benthosInput>,
): Promise<Effect> {
  const version = demandVersion(call.precondition, row.version);
  const update = { id: row.id, version, changes };
  const after = await updateBenthosConfiguration(transaction, call.caller.scope, update);
  return { ...shown(after, 200), audit: audit('update', after) };
}

const change = {
  path: `${PATH}/{id}`,
  tag: TAG,
  permission: 'edit',
  conditional: true,
  params: idParams,
  replies: { 200: benthosSchema },
  failures: ['already_exists'],
} as const;

async function lint(
  call: Call<unknown, unknown, unknown>,
  configuration: string,
): Promise<z.output<typeof lintSchema>> {
  try {
    return await call.context.services.lintBenthos(configuration, call.signal());
  } catch (error) {
    throw upstreamError(error);
  }
}

const lintEffect = (result: z.output<typeof lintSchema>, id: string | null): Effect => ({
  status: 200,
  body: result,
  audit: {
    action: 'benthos_configuration.lint',
    resourceType: 'benthos_configuration',
    resourceId: id,
    details: { valid: result.valid },
  },
});

export const benthosRoutes: readonly Route[] = [
  readRoute({
    path: PATH,
    operation: 'listBenthosConfigurations',
    summary: 'Benthos configurations, newest first.',
    tag: TAG,
    permission: 'read',
    query: z.strictObject(pageQuery),
    replies: { 200: benthosListSchema },
    handle: async (call) => {
      const page = pageOf('benthos', call);
      const found = await listBenthosConfigurations(call.context.db, call.caller.scope, page);
      const { rows, nextCursor } = listed('benthos', call, found);
      const body = { benthos_configurations: rows.map(view), next_cursor: nextCursor };
      return { status: 200, body };
    },
  }),
  changeRoute({
    method: 'POST',
    path: PATH,
    operation: 'createBenthosConfiguration',
    summary: 'Makes a Benthos configuration that pipelines can name.',
    tag: TAG,
    permission: 'edit',
    body: benthosInput,
    example: EXAMPLE,
    replies: { 201: benthosSchema },
    failures: ['already_exists'],
    change: async ({ body, caller }, transaction) => {
      const row = await createBenthosConfiguration(transaction, caller.scope, body);
      const headers = { location: `${PATH}/${row.id}` };
      return { ...shown(row, 201), headers, audit: audit('create', row) };
    },
  }),
  readRoute({
    path: `${PATH}/{id}`,
    operation: 'getBenthosConfiguration',
    summary: 'One Benthos configuration.',
    tag: TAG,
    permission: 'read',
    params: idParams,
    replies: { 200: benthosSchema },
    handle: async (call) => shown(await required(call.context.db, call), 200),
  }),
  changeRoute({
    ...change,
    method: 'PUT',
    operation: 'replaceBenthosConfiguration',
    summary: 'Replaces a Benthos configuration.',
    body: benthosInput,
    example: EXAMPLE,
    change: async (call, transaction) =>
      replace(call, transaction, await required(transaction, call), call.body),
  }),
  changeRoute({
    ...change,
    method: 'PATCH',
    operation: 'changeBenthosConfiguration',
    summary: 'Changes what is named, as a JSON merge patch.',
    body: z.record(z.string(), z.unknown()),
    example: { name: 'masking of customers' },
    change: async (call, transaction) => {
      const row = await required(transaction, call);
      const { name, configuration } = row;
      const merged = mergePatch({ name, configuration }, call.body);
      const input = readPart('body', benthosInput, merged) as z.output<typeof benthosInput>;
      return replace(call, transaction, row, input);
    },
  }),
  changeRoute({
    ...change,
    method: 'DELETE',
    operation: 'deleteBenthosConfiguration',
    summary: 'Deletes a Benthos configuration that no pipeline names.',
    replies: { 204: null },
    failures: ['in_use'],
    change: async (call, transaction) => {
      const row = await required(transaction, call);
      const version = demandVersion(call.precondition, row.version);
      await deleteBenthosConfiguration(transaction, call.caller.scope, { id: row.id, version });
      return { status: 204, audit: audit('delete', row) };
    },
  }),
  changeRoute({
    method: 'POST',
    path: `${PATH}/{id}/lint`,
    operation: 'lintBenthosConfiguration',
    summary: 'Looks for faults in a Benthos configuration.',
    tag: TAG,
    permission: 'operate',
    params: idParams,
    body: noBody,
    replies: { 200: lintSchema },
    failures: ['capability_missing'],
    prepare: async (call) => {
      const { id, configuration } = await required(call.context.db, call);
      return { id, result: await lint(call, configuration) };
    },
    change: (_call, _transaction, { id, result }) => Promise.resolve(lintEffect(result, id)),
  }),
  changeRoute({
    method: 'POST',
    path: `${PATH}/lint`,
    operation: 'lintBenthosText',
    summary: 'Looks for faults in a configuration that is not stored.',
    tag: TAG,
    permission: 'operate',
    body: benthosInput.pick({ configuration: true }),
    example: { configuration: EXAMPLE.configuration },
    replies: { 200: lintSchema },
    failures: ['capability_missing'],
    prepare: (call) => lint(call, call.body.configuration),
    change: (_call, _transaction, result) => Promise.resolve(lintEffect(result, null)),
  }),
];
