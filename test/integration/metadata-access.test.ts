// Who may come in: tokens, users, the first admin; and requests that are sent twice.
import { expect, it } from 'vitest';
import {
  createApiToken,
  findApiToken,
  findTokenHolder,
  revokeApiToken,
} from '../../src/metadata/api-tokens.ts';
import { forgetIdempotencyKeys, once } from '../../src/metadata/idempotency-keys.ts';
import { hashPassword } from '../../src/metadata/passwords.ts';
import { createSetupToken, setUp } from '../../src/metadata/setup-tokens.ts';
import { tokenHash } from '../../src/metadata/token-text.ts';
import { createUser, deleteUser, logIn, updateUser } from '../../src/metadata/users.ts';
import { freshName } from '../support/metadata-builders.ts';
import { describeEachStore } from '../support/metadata-stores.ts';

const MINUTE_MS = 60_000;
const admin = { name: 'ci', role: 'admin', user_id: null, expires_at: null } as const;
const email = (): string => `${freshName('somebody').replace(' ', '-')}@example.org`;

/** Runs first: it wants a database without organisations. */
describeEachStore('setup', (of) => {
  const person = {
    organization: 'Acme',
    email: 'Ada@Example.org',
    password: 'correct horse battery',
  };

  it('takes the newest token, once, for an hour; afterwards there is none', async () => {
    const { db } = of();
    const hour = 60 * MINUTE_MS;
    const void_ = (await createSetupToken(db, 0)) ?? '';
    const token = (await createSetupToken(db, 0)) ?? '';
    const refused = { code: 'setup_token' };
    for (const wrong of [void_, '', 'fb_', `${token}x`])
      await expect(setUp(db, { ...person, token: wrong }, 1)).rejects.toMatchObject(refused);
    await expect(setUp(db, { ...person, token }, hour)).rejects.toMatchObject(refused);
    const attempts = [1, 2].map(() => setUp(db, { ...person, token }, hour - 1));
    const results = await Promise.allSettled(attempts);
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(await db.selectFrom('organizations').select('name').execute()).toEqual([
      { name: 'Acme' },
    ]);
    expect(await createSetupToken(db)).toBeNull();
    await expect(setUp(db, { ...person, token }, 1)).rejects.toMatchObject(refused);
    const made = results.find((result) => result.status === 'fulfilled')?.value;
    expect(await findTokenHolder(db, made?.issued.token ?? '')).toMatchObject({
      role: 'admin',
      userId: made?.user.id,
    });
    expect(await logIn(db, { email: ' ada@example.ORG', password: person.password })).toMatchObject(
      { role: 'admin' },
    );
  });
});

describeEachStore('access', (of) => {
  it('a token leads to its organisation and role, and stands nowhere in clear', async () => {
    const { db, organization } = of();
    const scope = await organization();
    const { token, row } = await createApiToken(db, scope, { ...admin, role: 'operator' });
    expect(await findTokenHolder(db, token)).toMatchObject({
      scope,
      tokenId: row.id,
      role: 'operator',
    });
    expect(row.hash).toBe(tokenHash(token));
    expect(JSON.stringify(row)).not.toContain(token.slice(8));
  });

  it('a token that is unknown, expired, revoked or cut short leads nowhere', async () => {
    const { db, organization } = of();
    const scope = await organization();
    const expires_at = new Date(1000).toISOString();
    const { token } = await createApiToken(db, scope, { ...admin, expires_at });
    expect(await findTokenHolder(db, token, 999)).not.toBeNull();
    expect(await findTokenHolder(db, token, 1000)).toBeNull();
    expect(await findTokenHolder(db, token.slice(0, -1), 999)).toBeNull();
    expect(await findTokenHolder(db, '')).toBeNull();
    const other = await createApiToken(db, scope, admin);
    const revoked = await revokeApiToken(db, scope, other.row.id);
    expect(await findTokenHolder(db, other.token)).toBeNull();
    expect(await revokeApiToken(db, scope, other.row.id)).toEqual(revoked);
    await expect(revokeApiToken(db, await organization(), other.row.id)).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  it('the use of a token is noted once a minute', async () => {
    const { db, organization } = of();
    const scope = await organization();
    const { token, row } = await createApiToken(db, scope, admin);
    const used = async (nowMs: number) => {
      await findTokenHolder(db, token, nowMs);
      return Date.parse((await findApiToken(db, scope, row.id))?.last_used_at ?? '');
    };
    expect(await used(5)).toBe(5);
    expect(await used(MINUTE_MS + 4)).toBe(5);
    expect(await used(MINUTE_MS + 5)).toBe(MINUTE_MS + 5);
  });

  it("a user's token does what the user may, no more, and ends with the user", async () => {
    const { db, organization } = of();
    const scope = await organization();
    const person = (role: 'admin' | 'editor') =>
      createUser(db, scope, { email: email(), password_hash: null, role });
    await person('admin');
    const user = await person('editor');
    const { token } = await createApiToken(db, scope, { ...admin, user_id: user.id });
    expect(await findTokenHolder(db, token)).toMatchObject({ role: 'editor' });
    await updateUser(db, scope, user.id, { role: 'viewer' });
    expect(await findTokenHolder(db, token)).toMatchObject({ role: 'viewer' });
    await updateUser(db, scope, user.id, { disabled_at: new Date().toISOString() });
    expect(await findTokenHolder(db, token)).toBeNull();
    await updateUser(db, scope, user.id, { disabled_at: null });
    expect(await findTokenHolder(db, token)).not.toBeNull();
    await deleteUser(db, scope, user.id);
    expect(await findTokenHolder(db, token)).toBeNull();
  });

  it('an address is one user, whatever its letters; a password that is old-fashioned is hashed anew', async () => {
    const { db, organization } = of();
    const scope = await organization();
    const address = email();
    const password_hash = await hashPassword('secret', { N: 1024, r: 8, p: 1 });
    const { id } = await createUser(db, scope, { email: address, password_hash, role: 'admin' });
    await expect(
      createUser(db, scope, { email: address.toUpperCase(), password_hash, role: 'viewer' }),
    ).rejects.toMatchObject({ code: 'already_exists' });
    expect(await logIn(db, { email: address, password: 'Secret' })).toBeNull();
    expect(await logIn(db, { email: 'nobody@example.org', password: 'secret' })).toBeNull();
    expect(await logIn(db, { email: address, password: 'secret' })).toMatchObject({ id });
    const user = await logIn(db, { email: address, password: 'secret' });
    expect(user?.password_hash).toMatch(/^scrypt\$131072\$8\$1\$/u);
  });

  it('the last admin stays one', async () => {
    const { db, organization } = of();
    const scope = await organization();
    const person = () =>
      createUser(db, scope, { email: email(), password_hash: null, role: 'admin' });
    const [one, other] = [await person(), await person()];
    const results = await Promise.allSettled([
      updateUser(db, scope, one.id, { role: 'viewer' }),
      deleteUser(db, scope, other.id),
    ]);
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(results.find((result) => result.status === 'rejected')?.reason).toMatchObject({
      code: 'in_use',
    });
  });

  it('a request that is sent twice has one effect and one answer', async () => {
    const { db, organization } = of();
    const [scope, other] = [await organization(), await organization()];
    const request = { key: 'k', method: 'POST', path: '/api/v1/connections', bodyHash: 'h' };
    let effects = 0;
    const send = (changes: Partial<typeof request> = {}, who = scope) =>
      once(db, who, { ...request, ...changes }, async () => {
        effects += 1;
        await Promise.resolve();
        return { status: 201, response: `{"id":${effects}}` };
      });
    const answers = await Promise.all([send(), send(), send()]);
    expect(effects).toBe(1);
    expect(answers.map(({ response }) => response)).toEqual(Array(3).fill('{"id":1}'));
    expect(answers.filter(({ repeated }) => !repeated)).toHaveLength(1);
    for (const change of [{ bodyHash: 'g' }, { path: '/other' }, { method: 'PUT' }])
      await expect(send(change)).rejects.toMatchObject({ code: 'idempotency_mismatch' });
    expect(await send({}, other)).toMatchObject({ response: '{"id":2}', repeated: false });
    expect(await forgetIdempotencyKeys(db, '9999')).toBe(2);
    expect(await send({ bodyHash: 'g' })).toMatchObject({ response: '{"id":3}' });
  });

  it('a request that failed is recorded nowhere, nor is what it did', async () => {
    const { db, organization } = of();
    const scope = await organization();
    const request = { key: 'f', method: 'POST', path: '/', bodyHash: 'h' };
    const failing = once(db, scope, request, async (transaction) => {
      await createApiToken(transaction, scope, admin);
      throw new Error('too bad');
    });
    await expect(failing).rejects.toThrow('too bad');
    const tokens = await db
      .selectFrom('api_tokens')
      .select('id')
      .where('organization_id', '=', scope.organizationId)
      .execute();
    expect(tokens).toEqual([]);
    const later = once(db, scope, request, async () => ({ status: 200, response: '{}' }));
    expect(await later).toMatchObject({ repeated: false });
  });
});
