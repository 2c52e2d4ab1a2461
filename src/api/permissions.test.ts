import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type ApiFixture,
  asProblem,
  makePipeline,
  openApi,
  ROLES,
} from '../../test/support/api-fixture.ts';
import { indexDeadLetters } from '../metadata/dead-letters.ts';
import { createUser } from '../metadata/users.ts';
import type { Role } from '../metadata/tables.ts';
import type { Route } from './route.ts';
import { ROUTES } from './routes/index.ts';

let api: ApiFixture;
/** Ids of the other organisation, by the noun of the path. */
let theirs: Record<string, string>;

beforeAll(async () => {
  api = await openApi();
  const elsewhere = { elsewhere: true } as const;
  const made = await makePipeline(api, {}, elsewhere);
  const post = async (url: string, body: unknown): Promise<string> => {
    const answer = await api.ask('POST', url, { ...elsewhere, body });
    return answer.body.id ?? answer.body.execution_id;
  };
  const letter = {
    isOpen: true,
    created_at: '2026-01-01T00:00:00.000Z',
    execution_id: null,
    stream: 's',
    letter_id: 'l',
    code: 'c',
    reason: 'r',
  };
  await indexDeadLetters(api.metadata.db, api.other, made.pipeline, [letter]);
  const letters = await api.ask('GET', '/api/v1/dead-letters', elsewhere);
  const user = { email: 'their@user.example', password_hash: null, role: 'viewer' } as const;
  theirs = {
    connections: made.source,
    pipelines: made.pipeline,
    schedules: made.schedule,
    executions: await post('/api/v1/etl/trigger', { pipeline_id: made.pipeline }),
    'benthos-configurations': await post('/api/v1/benthos-configurations', {
      name: 'b',
      configuration: 'x',
    }),
    tokens: await post('/api/v1/tokens', { name: 't', role: 'viewer' }),
    users: (await createUser(api.metadata.db, api.other, user)).id,
    organizations: api.other.organizationId,
    onboarding: `onboarding-${api.other.organizationId}-1`,
    'dead-letters': letters.body.dead_letters[0].id,
  };
});
afterAll(() => api[Symbol.asyncDispose]());

/** Written out, not worked out: this is what was promised. */
const MAY: Readonly<Record<Role, readonly string[]>> = {
  viewer: ['read'],
  operator: ['read', 'operate'],
  editor: ['read', 'operate', 'edit'],
  admin: ['read', 'operate', 'edit', 'administer'],
};

const UNKNOWN = '01980c8e-5f6a-7c1d-8a53-0d4f1c2b3a49';
const label = ({ method, path }: Route): string => `${method} ${path}`;
const closed = ROUTES.filter(({ kind }) => kind !== 'open');
const bodyOf = (route: Route): { body?: unknown } =>
  route.example === undefined ? {} : { body: route.example };

describe('without a token', () => {
  it('only these can be reached', () => {
    const open = ROUTES.filter(({ permission }) => permission === 'public').map(label);
    expect(open.toSorted()).toEqual([
      'GET /docs',
      'GET /livez',
      'GET /openapi.json',
      'GET /readyz',
      'POST /api/v1/login',
      'POST /api/v1/setup',
    ]);
  });

  it.each(closed.map((route) => [label(route), route] as const))('%s is 401', async (_, route) => {
    const url = route.path.replace('{id}', UNKNOWN);
    const answer = await api.ask(route.method, url, { role: null, ...bodyOf(route) });
    expect(asProblem(answer).status).toBe(401);
  });
});

describe('each route with each role', () => {
  for (const route of closed) {
    for (const role of ROLES) {
      const allowed = MAY[role].includes(route.permission);
      it(`${label(route)} as ${role}: ${allowed ? 'let in' : '403'}`, async () => {
        const url = route.path.replace('{id}', UNKNOWN);
        const answer = await api.ask(route.method, url, { role, ...bodyOf(route) });
        if (allowed) expect([401, 403]).not.toContain(answer.status);
        else expect(asProblem(answer)).toMatchObject({ status: 403, code: 'forbidden' });
      });
    }
  }

  it('writing is never for viewers, and accounts are for admins alone', () => {
    for (const route of closed) {
      if (route.method !== 'GET') expect(route.permission).not.toBe('read');
      if (/\/(users|tokens|audit-log)/.test(route.path)) {
        expect(route.permission).toBe('administer');
      }
    }
  });
});

describe('what belongs to another organisation', () => {
  const withId = closed.filter(({ path }) => path.includes('{id}'));

  it.each(withId.map((route) => [label(route), route] as const))(
    '%s is 404, as what is not there',
    async (_, route) => {
      const noun = /\/([a-z-]+)\/\{id\}/.exec(route.path)?.[1] ?? '';
      const id = theirs[noun];
      expect(id, noun).toBeDefined();
      const ask = (wanted: string) =>
        api.ask(route.method, route.path.replace('{id}', wanted), {
          headers: { 'if-match': '*' },
          ...bodyOf(route),
        });
      const [foreign, unknown] = [await ask(id ?? ''), await ask(UNKNOWN)];
      expect(asProblem(foreign)).toMatchObject({ status: 404, code: 'not_found' });
      expect(asProblem(foreign).detail).toBe(asProblem(unknown).detail);
    },
  );

  it('is in no list', async () => {
    const lists = closed.filter(({ method, path }) => method === 'GET' && !path.includes('{id}'));
    const ids = Object.values(theirs);
    for (const route of lists) {
      const answer = await api.ask('GET', route.path);
      for (const id of ids) expect(answer.text, label(route)).not.toContain(id);
    }
  });

  it('cannot be named by what is ours', async () => {
    const pipeline_id = theirs['pipelines'];
    const triggered = await api.ask('POST', '/api/v1/etl/trigger', { body: { pipeline_id } });
    expect(asProblem(triggered).status).toBe(404);
    const made = await makePipeline(api);
    const answer = await api.ask('POST', '/api/v1/pipelines', {
      body: {
        name: 'theft',
        source_connection_id: theirs['connections'],
        destination_connection_id: made.destination,
        streams: ['*'],
      },
    });
    expect(asProblem(answer)).toMatchObject({
      status: 422,
      errors: [{ pointer: '/source_connection_id' }],
    });
    const filtered = await api.ask('GET', `/api/v1/etl/executions?pipeline_id=${pipeline_id}`);
    expect(filtered.body.executions).toEqual([]);
  });
});
