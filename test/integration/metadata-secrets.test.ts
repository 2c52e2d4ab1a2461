// Secrets at rest: what opens, and that nothing else does.
import { expect, it } from 'vitest';
import {
  connectionSecrets,
  findConnection,
  updateConnection,
} from '../../src/metadata/connections.ts';
import type { MetadataDb } from '../../src/metadata/database.ts';
import type { OrganizationScope } from '../../src/metadata/scope.ts';
import { checkDataKeys, rewrap, rotate } from '../../src/metadata/secrets.ts';
import { parseWrappingKey, type WrappingKeys } from '../../src/metadata/wrapping-keys.ts';
import { aConnection } from '../support/metadata-builders.ts';
import { describeEachStore, testKeys } from '../support/metadata-stores.ts';

async function reveal(
  db: MetadataDb,
  scope: OrganizationScope,
  id: string,
  keys: WrappingKeys = testKeys,
): Promise<Record<string, string>> {
  const secrets = await connectionSecrets(db, scope, id, keys);
  return Object.fromEntries(Object.entries(secrets).map(([name, value]) => [name, value.reveal()]));
}

const refused = { code: 'secret_key' };

describeEachStore('secrets', (of) => {
  it('come back as they were given, and stand nowhere in clear', async () => {
    const { db, organization } = of();
    const scope = await organization();
    const secrets = { password: 'kanarienvogel-🐤', key: 'x'.repeat(20_000), empty: '' };
    const { id, ...row } = await aConnection(db, scope, { secrets });
    expect(await reveal(db, scope, id)).toEqual(secrets);
    expect(JSON.stringify(row)).not.toContain('kanarienvogel');
    expect(JSON.stringify(await connectionSecrets(db, scope, id, testKeys))).not.toContain('kanar');
  });

  it('are changed field by field', async () => {
    const { db, organization } = of();
    const scope = await organization();
    const { id } = await aConnection(db, scope, { secrets: { a: '1', b: '2', c: '3' } });
    const changes = { secrets: { a: '9', b: null } };
    await updateConnection(db, scope, { id, version: 1, changes }, testKeys);
    expect(await reveal(db, scope, id)).toEqual({ a: '9', c: '3' });
  });

  it('do not open where they were moved to: another connection, another organisation', async () => {
    const { db, organization } = of();
    const [scope, other] = [await organization(), await organization()];
    const from = await aConnection(db, scope);
    const beside = await aConnection(db, scope);
    const away = await aConnection(db, other);
    const put = (id: string) =>
      db.updateTable('connections').set({ secrets: from.secrets }).where('id', '=', id).execute();
    await put(beside.id);
    await expect(reveal(db, scope, beside.id)).rejects.toMatchObject(refused);
    await put(away.id);
    await expect(reveal(db, other, away.id)).rejects.toMatchObject(refused);
    // With its data key moved along it does not open either.
    await db
      .updateTable('data_keys')
      .set({ organization_id: other.organizationId, version: 77 })
      .where('organization_id', '=', scope.organizationId)
      .execute();
    await expect(reveal(db, other, away.id)).rejects.toMatchObject(refused);
  });

  it('do not open with another wrapping key, and the failure names both without telling them', async () => {
    const { db, organization } = of();
    const scope = await organization();
    const { id } = await aConnection(db, scope);
    const wrong = { current: parseWrappingKey('22'.repeat(32), 'a test'), former: [] };
    const failure: unknown = await reveal(db, scope, id, wrong).catch((error: unknown) => error);
    expect(failure).toMatchObject(refused);
    expect(String(failure)).toContain(testKeys.current.id);
    expect(String(failure)).not.toMatch(/1111|2222|open sesame/u);
  });

  it('of connections made at once share one data key', async () => {
    const { db, organization } = of();
    const scope = await organization();
    await Promise.all([1, 2, 3, 4].map(() => aConnection(db, scope)));
    const keys = await db
      .selectFrom('data_keys')
      .select('version')
      .where('organization_id', '=', scope.organizationId)
      .execute();
    expect(keys).toEqual([{ version: 1 }]);
  });

  it('are sealed anew by a rotation, also those that are written meanwhile', async () => {
    const { db, organization } = of();
    const scope = await organization();
    const before = await Promise.all([1, 2, 3].map(() => aConnection(db, scope)));
    const [, during] = await Promise.all([
      rotate(db, scope, testKeys),
      aConnection(db, scope),
      rotate(db, scope, testKeys),
    ]);
    for (const { id, secrets } of [...before, during]) {
      expect(await reveal(db, scope, id)).toEqual({ password: 'open sesame' });
      const now = await findConnection(db, scope, id);
      if (id !== during.id) expect(now?.secrets).not.toBe(secrets);
    }
    const keys = await db
      .selectFrom('data_keys')
      .select('version')
      .where('organization_id', '=', scope.organizationId)
      .execute();
    expect(keys).toEqual([{ version: 3 }]);
  });

  it('that one cannot be read leave a rotation undone', async () => {
    const { db, organization } = of();
    const scope = await organization();
    const good = await aConnection(db, scope);
    const bad = await aConnection(db, scope);
    await db
      .updateTable('connections')
      .set({ secrets: good.secrets })
      .where('id', '=', bad.id)
      .execute();
    await expect(rotate(db, scope, testKeys)).rejects.toMatchObject(refused);
    expect(await reveal(db, scope, good.id)).toEqual({ password: 'open sesame' });
  });

  it('open with a new wrapping key after rewrapping, and no longer with the old one', async () => {
    const { db, organization } = of();
    const scope = await organization();
    const { id, secrets } = await aConnection(db, scope);
    // What other tests have moved about cannot be wrapped anew.
    await db.deleteFrom('data_keys').where('organization_id', '!=', scope.organizationId).execute();
    const keys = {
      current: parseWrappingKey('33'.repeat(32), 'a test'),
      former: [testKeys.current],
    };
    expect(await reveal(db, scope, id, keys)).toEqual({ password: 'open sesame' });
    expect(await rewrap(db, keys)).toEqual({ rewrapped: 1 });
    const alone = { current: keys.current, former: [] };
    expect(await reveal(db, scope, id, alone)).toEqual({ password: 'open sesame' });
    await checkDataKeys(db, alone);
    await expect(checkDataKeys(db, testKeys)).rejects.toMatchObject(refused);
    expect((await findConnection(db, scope, id))?.secrets).toBe(secrets);
  });
});
