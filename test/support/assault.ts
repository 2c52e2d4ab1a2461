// Sends requests out of the schemas of the routes, and looks at every answer.
import { createUser } from '../../src/metadata/users.ts';
import { ROUTES } from '../../src/api/routes/index.ts';
import { type ApiFixture, asProblem, makePipeline, ROLES } from './api-fixture.ts';
import { type MadeRequest, requestMaker } from './request-maker.ts';

/** Each of these hashes a password, which takes its time by intent. */
const SLOW = new Set(['logIn', 'createUser', 'changeUser', 'createOrganization']);

/** Several of each, as some will be deleted. */
async function things(api: ApiFixture): Promise<Record<string, string[]>> {
  const ids: Record<string, string[]> = {
    executions: [],
    organizations: [api.scope.organizationId],
  };
  const add = (noun: string, id: string): void => {
    (ids[noun] ??= []).push(id);
  };
  for (let number = 0; number < 6; number += 1) {
    const made = await makePipeline(api);
    add('connections', made.source);
    add('pipelines', made.pipeline);
    add('schedules', made.schedule);
    const started = await api.ask('POST', `/api/v1/pipelines/${made.pipeline}/execute`);
    add('executions', started.body.execution_id);
    for (const [noun, body] of [
      ['connections', { name: `d${number}`, connector_type: 'duckdb', config: { path: 'x' } }],
      ['benthos-configurations', { name: `b${number}`, configuration: 'x' }],
      ['tokens', { name: `t${number}`, role: 'viewer' }],
    ] as const) {
      add(noun, (await api.ask('POST', `/api/v1/${noun}`, { body })).body.id);
    }
    const user = { email: `u${number}@x.example`, password_hash: null, role: 'viewer' } as const;
    add('users', (await createUser(api.metadata.db, api.scope, user)).id);
  }
  return ids;
}

async function send(api: ApiFixture, { method, url, headers, payload }: MadeRequest) {
  const response = await api.app.inject({
    method: method as 'GET',
    url,
    headers,
    ...(payload === undefined ? {} : { payload }),
  });
  return { status: response.statusCode, headers: response.headers, text: response.body };
}

export interface Assault {
  /** How often each status was answered. */
  readonly statuses: ReadonlyMap<number, number>;
  /** Method and path of what was done. */
  readonly succeeded: ReadonlySet<string>;
}

/** Throws for a failure of the server, and for a refusal that is no problem. */
export async function assail(api: ApiFixture, seed: number, requests: number): Promise<Assault> {
  const statuses = new Map<number, number>();
  const succeeded = new Set<string>();
  const maker = requestMaker({
    seed,
    routes: ROUTES.filter(({ operation }) => !SLOW.has(operation)),
    ids: await things(api),
    tokens: [...ROLES.map((role) => api.token(role)), ...Array(8).fill(api.token('admin'))],
  });
  for (let number = 0; number < requests; number += 1) {
    const request = maker.next();
    const answer = await send(api, request);
    const { status, text } = answer;
    try {
      if (status >= 500) throw new Error('the server failed');
      const isProblem = status >= 400 && request.method !== 'HEAD';
      if (isProblem) asProblem({ ...answer, body: JSON.parse(text) });
    } catch (error) {
      const log = JSON.stringify(api.logged.at(-1));
      throw new Error(`request ${number}: ${JSON.stringify(request)}\n${text}\n${log}`, {
        cause: error,
      });
    }
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    const path = request.url.split('?')[0]?.replaceAll(/[0-9a-f-]{36}/g, '{id}');
    if (status < 400) succeeded.add(`${request.method} ${path}`);
  }
  return { statuses, succeeded };
}
