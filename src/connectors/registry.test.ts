import { afterEach, describe, expect, test, vi } from 'vitest';

import { Secret } from '../core/secret.ts';
import { nearest } from './nearest.ts';
import { CONNECTORS, resolveSystem } from './registry.ts';

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('resolveSystem', () => {
  test('reads a URL by its scheme', async () => {
    const { address } = await resolveSystem('postgresql://ada:pw@db.example:5433/shop');
    expect(address).toMatchObject({ connector: 'postgres', label: 'shop' });
    expect(address.display).not.toContain('pw');
  });

  test('takes the URL from the environment variable that env: names', async () => {
    vi.stubEnv('FOREBAY_TEST_URL', 'duckdb:/tmp/shop.duckdb');
    const { address } = await resolveSystem('env:FOREBAY_TEST_URL');
    expect(address).toMatchObject({ connector: 'duckdb', label: 'shop' });
  });

  test('refuses a variable that is not set, by its name', async () => {
    await expect(resolveSystem('env:FOREBAY_TEST_NOT_SET')).rejects.toMatchObject({
      code: 'environment_missing',
      message: expect.stringContaining('FOREBAY_TEST_NOT_SET'),
    });
  });

  test('lists the known schemes and the nearest one', async () => {
    await expect(resolveSystem('postgers://localhost/shop')).rejects.toMatchObject({
      code: 'unknown_scheme',
      fix: expect.stringMatching(/^Did you mean postgres\? Known schemes: .*\bduckdb\b/),
    });
  });

  test('never repeats what follows an unknown scheme', async () => {
    const failure = await resolveSystem('mongo://ada:hunter2@host/db').catch(String);
    expect(failure).not.toContain('hunter2');
  });

  test('passes credentials on, and refuses those that a connector cannot use', async () => {
    const credentials = {
      kind: 'password',
      username: 'ada',
      password: new Secret('hunter2'),
    } as const;
    const { address } = await resolveSystem('postgres://db.example/shop', credentials);
    expect(address.credentials).toBe(credentials);
    await expect(resolveSystem('duckdb:shop.duckdb', credentials)).rejects.toMatchObject({
      code: 'capability_missing',
    });
  });

  test('says that a path alone is no system', async () => {
    await expect(resolveSystem('shop.duckdb')).rejects.toMatchObject({ code: 'unknown_scheme' });
  });
});

test('each scheme belongs to one connector', () => {
  const schemes = Object.values(CONNECTORS).flatMap((entry) => entry.schemes);
  expect(new Set(schemes).size).toBe(schemes.length);
});

test('nearest finds a typing error and nothing far away', () => {
  expect(nearest('duckbd', ['postgres', 'duckdb'])).toBe('duckdb');
  expect(nearest('kafka', ['postgres', 'duckdb'])).toBeNull();
});
