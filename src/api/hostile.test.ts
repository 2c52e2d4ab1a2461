import { expect, it } from 'vitest';
import {
  type ApiFixture,
  asProblem,
  makePipeline,
  openApi,
  ROLES,
} from '../../test/support/api-fixture.ts';
import { freshSeed } from '../../test/support/random.ts';
import { type MadeRequest, requestMaker } from '../../test/support/request-maker.ts';
import { createUser } from '../metadata/users.ts';
import { ROUTES } from './routes/index.ts';

const REQUESTS = 5000;
const SEED = Number(process.env['FOREBAY_API_SEED'] ?? freshSeed());

/** Each of these hashes a password, which takes its time by intent. */
const SLOW = new Set(['logIn', 'createUser', 'changeUser']);

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

it(`${REQUESTS} requests, hostile ones among them, get an answer or a problem (seed ${SEED})`, async () => {
  await using api = await openApi();
  const statuses = new Map<number, number>();
  const succeeded = new Set<string>();
  const maker = requestMaker({
    seed: SEED,
    routes: ROUTES.filter(({ operation }) => !SLOW.has(operation)),
    ids: await things(api),
    tokens: [...ROLES.map((role) => api.token(role)), ...Array(8).fill(api.token('admin'))],
  });
  for (let number = 0; number < REQUESTS; number += 1) {
    const request = maker.next();
    const answer = await send(api, request);
    const { status, text } = answer;
    const said = (): string =>
      `${number}: ${JSON.stringify(request)}\n${text}\n${JSON.stringify(api.logged.at(-1))}`;
    if (status >= 500) throw new Error(said());
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    if (status < 400) {
      const path = request.url.split('?')[0]?.replaceAll(/[0-9a-f-]{36}/g, '{id}');
      succeeded.add(`${request.method} ${path}`);
    } else if (request.method !== 'HEAD') {
      expect(() => asProblem({ ...answer, body: JSON.parse(text) }), said()).not.toThrow();
    }
  }
  expect(Object.keys(Object.prototype)).toEqual([]);
  // They get in, and are turned away at every door.
  const seen = [...statuses.keys()];
  for (const status of [200, 201, 204, 400, 401, 403, 404, 405, 409, 412, 415, 422, 428]) {
    expect(seen).toContain(status);
  }
  expect(succeeded.size).toBeGreaterThan(ROUTES.length / 2);
}, 120_000);
