// The API over PostgreSQL: what its text and its transactions take otherwise than SQLite.
import { env } from 'node:process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import { type ApiFixture, asProblem, makePipeline, openApi, SHOP } from '../support/api-fixture.ts';
import { assail } from '../support/assault.ts';
import { freshSeed } from '../support/random.ts';
import { describeEachServer } from '../support/shared-servers.ts';

const REQUESTS = 1500;

describeEachServer(
  'the API',
  (server) => {
    let database = '';
    let api: ApiFixture;
    beforeAll(async () => {
      database = await server.createDatabase();
      api = await openApi({}, { kind: 'postgres', url: new Secret(server.url(database)) });
    });
    afterAll(async () => {
      await api[Symbol.asyncDispose]();
      await server.dropDatabase(database);
    });

    describe('requests at once', () => {
      test('with one Idempotency-Key make one connection', async () => {
        const asking = {
          body: { ...SHOP, name: 'at once' },
          headers: { 'idempotency-key': 'one' },
        };
        const answers = await Promise.all(
          Array.from({ length: 12 }, () => api.ask('POST', '/api/v1/connections', asking)),
        );
        expect(answers.map(({ status }) => status)).toEqual(Array(12).fill(201));
        expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
      });

      test('with one ETag change it once', async () => {
        const made = await api.ask('POST', '/api/v1/connections', {
          body: { ...SHOP, name: 'contended' },
        });
        const answers = await Promise.all(
          Array.from({ length: 6 }, (_, number) =>
            api.ask('PATCH', `/api/v1/connections/${made.body.id}`, {
              body: { name: `contended ${number}` },
              headers: { 'if-match': '"1"' },
            }),
          ),
        );
        expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([
          200,
          ...Array(5).fill(412),
        ]);
      });

      test('to run a pipeline schedule two, and refuse the others', async () => {
        const { pipeline } = await makePipeline(api);
        const answers = await Promise.all(
          Array.from({ length: 6 }, () => api.ask('POST', `/api/v1/pipelines/${pipeline}/execute`)),
        );
        const refused = answers.filter(({ status }) => status !== 200);
        expect(new Set(refused.map((answer) => asProblem(answer).code))).toEqual(
          new Set(['execution_waits']),
        );
        expect(refused.length).toBeGreaterThanOrEqual(4);
      });
    });

    test('what PostgreSQL cannot hold as text is refused before it gets there', async () => {
      for (const text of ['a\0b', '\ud800']) {
        const body = { name: 'n', configuration: text };
        const answer = await api.ask('POST', '/api/v1/benthos-configurations', { body });
        expect(asProblem(answer)).toMatchObject({
          status: 400,
          errors: [{ pointer: '/configuration' }],
        });
      }
      for (const url of ['/api/v1/tokens/a%00b', '/api/v1/pipelines?cursor=%00']) {
        expect([400, 404]).toContain(asProblem(await api.ask('GET', url)).status);
      }
    });

    const seed = Number(env['FOREBAY_API_SEED'] ?? freshSeed());
    test(`${REQUESTS} requests of every kind get an answer or a problem (seed ${seed})`, async () => {
      const { statuses } = await assail(api, seed, REQUESTS);
      expect([...statuses.keys()]).toEqual(expect.arrayContaining([200, 201, 400, 404]));
    });
  },
  [17],
);
