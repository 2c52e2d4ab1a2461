import { expect, it } from 'vitest';
import { openApi } from '../../test/support/api-fixture.ts';
import { assail } from '../../test/support/assault.ts';
import { freshSeed } from '../../test/support/random.ts';
import { ROUTES } from './routes/index.ts';

const REQUESTS = 5000;
const SEED = Number(process.env['FOREBAY_API_SEED'] ?? freshSeed());

it(`${REQUESTS} requests, hostile ones among them, get an answer or a problem (seed ${SEED})`, async () => {
  await using api = await openApi();
  const { statuses, succeeded } = await assail(api, SEED, REQUESTS);
  expect(Object.keys(Object.prototype)).toEqual([]);
  // They get in, and are turned away at every door.
  const seen = [...statuses.keys()];
  for (const status of [200, 201, 204, 400, 401, 403, 404, 405, 409, 412, 415, 422, 428]) {
    expect(seen).toContain(status);
  }
  expect(succeeded.size).toBeGreaterThan(ROUTES.length / 2);
}, 120_000);
