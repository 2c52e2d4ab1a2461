import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ApiFixture, asProblem, openApi } from '../../../test/support/api-fixture.ts';
import { recordingServices } from '../../../test/support/recording-services.ts';

const MODELS = ['a', 'b', 'c'].map((name) => ({
  name,
  materialization: 'table',
  description: null,
  dependsOn: [],
  file: `${name}.sql`,
}));

let models: typeof MODELS = MODELS;
let api: ApiFixture;
beforeAll(async () => {
  const services = { ...recordingServices(), models: () => Promise.resolve(models) };
  api = await openApi({ services });
});
afterAll(() => api[Symbol.asyncDispose]());

async function pages(list: string, limit: number): Promise<unknown[][]> {
  const found: unknown[][] = [];
  let cursor: string | null = '';
  while (cursor !== null) {
    const after: string = cursor === '' ? '' : `&cursor=${cursor}`;
    const { status, body } = await api.ask('GET', `/api/v1/${list}?limit=${limit}${after}`);
    expect(status).toBe(200);
    found.push(body[list]);
    cursor = body.next_cursor;
  }
  return found;
}

describe('a list that is at hand as a whole', () => {
  it.each([
    ['connectors', 4, [4, 4, 4, 3]],
    ['connectors', 5, [5, 5, 5]],
    ['organizations', 1, [1]],
    ['models', 2, [2, 1]],
  ])('%s comes in pages of %d: %j', async (list, limit, sizes) => {
    const found = await pages(list, limit);
    expect(found.map((page) => page.length)).toEqual(sizes);
    const { body } = await api.ask('GET', `/api/v1/${list}`);
    expect(body).toEqual({ [list]: found.flat(), next_cursor: null });
  });

  it.each(['connectors', 'organizations', 'models'])(
    '%s takes no cursor of another list, and no limit out of range',
    async (list) => {
      const [other] = ['connectors', 'models'].filter((name) => name !== list);
      const { body } = await api.ask('GET', `/api/v1/${other}?limit=1`);
      const cursor = await api.ask('GET', `/api/v1/${list}?cursor=${body.next_cursor}`);
      expect(asProblem(cursor).errors[0]?.pointer).toBe('/cursor');
      const limit = await api.ask('GET', `/api/v1/${list}?limit=201`);
      expect(asProblem(limit).errors[0]?.pointer).toBe('/limit');
    },
  );

  it('goes on where it was when the last entry that was seen is gone', async () => {
    const { body } = await api.ask('GET', '/api/v1/models?limit=2');
    models = MODELS.filter(({ name }) => name !== 'b');
    const next = await api.ask('GET', `/api/v1/models?limit=2&cursor=${body.next_cursor}`);
    models = MODELS;
    expect(next.body.models).toMatchObject([{ name: 'c' }]);
  });
});
