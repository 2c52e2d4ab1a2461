// The API over a metadata database of its own, with two organisations and a token of each role in both.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { createApp } from '../../src/api/app.ts';
import { PROBLEM_TYPE, problemSchema } from '../../src/api/problem.ts';
import type { ApiOptions } from '../../src/api/running.ts';
import { createApiToken } from '../../src/metadata/api-tokens.ts';
import { type Metadata, type MetadataPlace, openMetadata } from '../../src/metadata/database.ts';
import { createOrganization } from '../../src/metadata/organizations.ts';
import { type OrganizationScope, scopeOf } from '../../src/metadata/scope.ts';
import type { Role } from '../../src/metadata/tables.ts';
import { createUser } from '../../src/metadata/users.ts';
import type { Log } from '../../src/service/log.ts';
import { testKeys } from './metadata-stores.ts';
import { type RecordingServices, recordingServices } from './recording-services.ts';

export const ROLES = ['viewer', 'operator', 'editor', 'admin'] as const satisfies readonly Role[];

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | number | undefined>>;
  readonly text: string;
  /** Parsed where it is JSON; undefined for an empty body. */
  readonly body: any_;
}

// Tests look into answers of every shape.
// oxlint-disable-next-line typescript/no-explicit-any
type any_ = any;

export interface Asking {
  readonly role?: Role | null;
  /** Of the other organisation. */
  readonly elsewhere?: boolean;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface ApiFixture extends AsyncDisposable {
  readonly app: FastifyInstance;
  readonly options: ApiOptions;
  readonly metadata: Metadata;
  readonly services: RecordingServices;
  readonly scope: OrganizationScope;
  readonly other: OrganizationScope;
  readonly logged: { readonly event: string; readonly fields: unknown }[];
  token(role: Role, elsewhere?: boolean): string;
  /** As an admin of the first organisation, where nothing else is said. */
  ask(method: string, url: string, asking?: Asking): Promise<Answer>;
}

async function organization(
  metadata: Metadata,
  name: string,
): Promise<{ scope: OrganizationScope; tokens: Record<Role, string> }> {
  const scope = scopeOf((await createOrganization(metadata.db, name)).id);
  const admin = await createUser(metadata.db, scope, {
    email: `admin@${name}.example`,
    password_hash: null,
    role: 'admin',
  });
  const issue = async (role: Role): Promise<string> => {
    const content = { name: role, role, user_id: admin.id, expires_at: null };
    return (await createApiToken(metadata.db, scope, content)).token;
  };
  const tokens = {
    viewer: await issue('viewer'),
    operator: await issue('operator'),
    editor: await issue('editor'),
    admin: await issue('admin'),
  };
  return { scope, tokens };
}

const MANY = { most: 1_000_000, windowMs: 60_000 };

export async function openApi(
  changes: Partial<ApiOptions> = {},
  place?: MetadataPlace,
): Promise<ApiFixture> {
  const folder = mkdtempSync(join(tmpdir(), 'fb-api-'));
  const metadata = await openMetadata(
    place ?? { kind: 'sqlite', path: join(folder, 'forebay.db') },
  );
  const here = await organization(metadata, 'harbour');
  const there = await organization(metadata, 'island');
  const services = recordingServices();
  const logged: { event: string; fields: unknown }[] = [];
  const log: Log = {
    at: (_level, event, fields) => logged.push({ event, fields }),
    child: () => log,
  };
  const options: ApiOptions = {
    db: metadata.db,
    services,
    keys: testKeys,
    signingKey: Buffer.from('a key for tests'),
    log,
    limits: { perAddress: MANY, perToken: MANY, guesses: MANY },
    feeds: { pollMs: 5 },
    checkReplies: true,
    ...changes,
  };
  const app = createApp(options);
  const token = (role: Role, elsewhere = false): string => (elsewhere ? there : here).tokens[role];
  return {
    app,
    options,
    metadata,
    services,
    scope: here.scope,
    other: there.scope,
    logged,
    token,
    ask: async (method, url, { role = 'admin', elsewhere, body, headers } = {}) => {
      const response = await app.inject({
        method: method as 'GET',
        url,
        headers: {
          ...(role === null ? {} : { authorization: `Bearer ${token(role, elsewhere)}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined
          ? {}
          : { payload: typeof body === 'string' ? body : JSON.stringify(body) }),
      });
      const isJson = String(response.headers['content-type']).includes('json');
      return {
        status: response.statusCode,
        headers: response.headers,
        text: response.body,
        body: isJson && response.body !== '' ? JSON.parse(response.body) : undefined,
      };
    },
    [Symbol.asyncDispose]: async () => {
      await app.close();
      await metadata[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true });
    },
  };
}

/** What every refusal must be. */
export function asProblem(answer: Answer) {
  const type = String(answer.headers['content-type']);
  if (!type.startsWith(PROBLEM_TYPE)) throw new Error(`${answer.status} ${type}: ${answer.text}`);
  const problem = problemSchema.strict().parse(answer.body);
  if (problem.status !== answer.status) throw new Error('the status is another one');
  if (/\bat .+:\d+:\d+|node_modules/.test(answer.text)) throw new Error('a stack got out');
  return problem;
}

export const SHOP = {
  name: 'shop',
  connector_type: 'postgres',
  config: { host: 'db.example', database: 'shop', user: 'reader', password: 'canary-secret' },
};
export const WAREHOUSE = {
  name: 'warehouse',
  connector_type: 'duckdb',
  config: { path: 'warehouse.duckdb' },
};

export interface Made {
  readonly source: string;
  readonly destination: string;
  readonly pipeline: string;
  readonly schedule: string;
}

/** Two connections and a pipeline between them. */
export async function makePipeline(
  api: ApiFixture,
  changes: Readonly<Record<string, unknown>> = {},
  asking: Asking = {},
): Promise<Made> {
  const suffix = String(Math.random()).slice(2);
  const post = async (url: string, body: Record<string, unknown>): Promise<Answer> => {
    const answer = await api.ask('POST', url, { ...asking, body });
    if (answer.status !== 201) throw new Error(`${url}: ${answer.status} ${answer.text}`);
    return answer;
  };
  const source = await post('/api/v1/connections', { ...SHOP, name: `shop ${suffix}` });
  const target = await post('/api/v1/connections', { ...WAREHOUSE, name: `warehouse ${suffix}` });
  const pipeline = await post('/api/v1/pipelines', {
    name: `pipeline ${suffix}`,
    source_connection_id: source.body.id,
    destination_connection_id: target.body.id,
    streams: ['public.*'],
    ...changes,
  });
  const { body } = await api.ask('GET', '/api/v1/schedules', asking);
  const schedule = body.schedules.find(
    (row: { pipeline_id: string }) => row.pipeline_id === pipeline.body.id,
  );
  return {
    source: source.body.id,
    destination: target.body.id,
    pipeline: pipeline.body.id,
    schedule: schedule.id,
  };
}

let posted = 0;

/** Asks for a pipeline between what was made, under a name of its own. */
export function postPipeline(
  api: ApiFixture,
  made: Made,
  changes: Readonly<Record<string, unknown>>,
): Promise<Answer> {
  posted += 1;
  return api.ask('POST', '/api/v1/pipelines', {
    body: {
      name: `p${posted}`,
      source_connection_id: made.source,
      destination_connection_id: made.destination,
      streams: ['public.*'],
      ...changes,
    },
  });
}
