// What every connector of the registry must be: named, described, parsed, refused and checked alike.
import { describe, expect, test } from 'vitest';

import { CONNECTORS } from '../../src/connectors/registry.ts';
import { ForebayError } from '../../src/core/errors.ts';
import {
  absent,
  capabilities,
  type Capability,
  contextOf,
  describeEachConnector,
} from '../support/conformance.ts';

async function claimed(name: string): Promise<ReadonlySet<Capability>> {
  const entry = CONNECTORS[name];
  const words = [...(entry?.source ?? []), ...(entry?.destination ?? [])];
  return new Set(capabilities.filter((capability) => words.includes(capability)));
}

describe('capabilities', () => {
  test('every connector has each one or says why not', async () => {
    for (const name of Object.keys(CONNECTORS)) {
      const has = await claimed(name);
      for (const capability of capabilities) {
        if (capability === 'frames') continue;
        const reason = absent[name]?.[capability];
        expect(has.has(capability) !== (reason !== undefined), `${name}: ${capability}`).toBe(true);
      }
    }
  });

  test('no reason is kept for a connector that is gone', () => {
    expect(Object.keys(absent).toSorted()).toEqual(Object.keys(CONNECTORS).toSorted());
  });
});

describeEachConnector('address', null, (kind, name) => {
  test.each(kind.badUrls)(
    'refuses %s as a URL or option, before anything is opened',
    async (url) => {
      const failure = await CONNECTORS[name]?.address(url).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(ForebayError);
      expect((failure as ForebayError).code).toMatch(/^(invalid_url|invalid_option|usage)$/);
    },
  );

  test('shows no secret, and is the same system whatever the user', async () => {
    const { url, secret } = kind.secretUrl;
    const address = await CONNECTORS[name]?.address(url);
    expect(address).toMatchObject({ connector: name });
    expect(JSON.stringify(address)).not.toContain(secret);
    expect(`${address?.display} ${address?.identity} ${address?.label}`).not.toContain(secret);
    expect(address?.label).toBe('shop');
    expect((await CONNECTORS[name]?.address(url))?.identity).toBe(address?.identity);
  });

  test('the registry says what the connector has', async () => {
    await using subject = await kind.open();
    const entry = CONNECTORS[name];
    const connector = await entry?.load();
    expect(connector?.name).toBe(name);
    expect(connector?.openDestination !== undefined).toBe(entry?.destination.length !== 0);
    expect(connector?.openSource !== undefined).toBe(entry?.source.length !== 0);
    if (connector?.openSource === undefined) return;
    const source = await subject.source();
    const sides = { snapshot: source.snapshot, changes: source.changes };
    const has = Object.entries(sides).flatMap(([side, member]) => (member ? [side] : []));
    expect(entry?.source).toEqual(has);
  });

  test('its example is a URL of its own', async () => {
    const example = CONNECTORS[name]?.example ?? '';
    expect(await CONNECTORS[name]?.address(example)).toMatchObject({ connector: name });
  });

  test('refuses an option with its own prefix that it does not know', async () => {
    await using subject = await kind.open();
    const connector = await CONNECTORS[name]?.load();
    const context = { ...contextOf(), options: { [`${name}.no-such-option`]: '1' } };
    const sides = [connector?.openSource, connector?.openDestination];
    for (const open of sides) {
      if (open === undefined) continue;
      await expect((async () => open(subject.address, context))()).rejects.toMatchObject({
        code: 'invalid_option',
      });
    }
  });

  test('a system that is not there is a coded failure that names it', async () => {
    const entry = CONNECTORS[name];
    const connector = await entry?.load();
    const address = await entry?.address(kind.deadUrl.url);
    if (address === undefined) throw new TypeError('no address');
    const looking = async () => {
      if (connector?.openSource === undefined) {
        await using destination = await connector?.openDestination?.(address, contextOf());
        await destination?.openSession('p');
        return;
      }
      await using source = await connector.openSource(address, contextOf());
      await source.discover();
    };
    const failure = await looking().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ForebayError);
    expect((failure as ForebayError).code).not.toBe('internal');
    expect((failure as ForebayError).exitCode).toBe(3);
    expect((failure as ForebayError).message.length).toBeGreaterThan(10);
    expect((failure as ForebayError).message).not.toContain('pw@');
  });
});
