import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ApiFixture, asProblem, openApi, SHOP } from '../../test/support/api-fixture.ts';
import { verifyAudit } from '../metadata/audit-log.ts';

let api: ApiFixture;
beforeAll(async () => {
  api = await openApi();
});
afterAll(() => api[Symbol.asyncDispose]());

const URL = '/api/v1/connections';
const keyed = (key: string, body: unknown, url = URL) =>
  api.ask('POST', url, { body, headers: { 'idempotency-key': key } });

describe('an Idempotency-Key', () => {
  it('brings back the first answer, and the thing is made once', async () => {
    const body = { ...SHOP, name: 'once' };
    const first = await keyed('k1', body);
    const again = await keyed('k1', {
      config: body.config,
      name: 'once',
      connector_type: 'postgres',
    });
    expect(again.status).toBe(201);
    expect(again.body).toEqual(first.body);
    expect(again.headers).toMatchObject({
      'idempotency-replayed': 'true',
      etag: first.headers['etag'],
      location: first.headers['location'],
    });
    const list = await api.ask('GET', URL);
    const named = list.body.connections.filter(({ name }: { name: string }) => name === 'once');
    expect(named).toHaveLength(1);
  });

  it('sent at once many times makes the thing once', async () => {
    const body = { ...SHOP, name: 'at once' };
    const answers = await Promise.all(Array.from({ length: 8 }, () => keyed('k2', body)));
    expect(new Set(answers.map((answer) => answer.body.id)).size).toBe(1);
  });

  it('with another body, or at another address, is 422', async () => {
    const first = await keyed('k3', { ...SHOP, name: 'third' });
    const other = await keyed('k3', { ...SHOP, name: 'fourth' });
    expect(asProblem(other)).toMatchObject({ status: 422, code: 'idempotency_mismatch' });
    const elsewhere = await keyed('k3', undefined, `${URL}/${first.body.id}/test`);
    expect(asProblem(elsewhere).code).toBe('idempotency_mismatch');
  });

  it('of a request that failed can be used again', async () => {
    await keyed('k4', { ...SHOP, name: 'fifth' });
    expect(asProblem(await keyed('k5', { ...SHOP, name: 'fifth' })).status).toBe(409);
    expect((await keyed('k5', { ...SHOP, name: 'sixth' })).status).toBe(201);
  });

  it('is of one organisation', async () => {
    const options = { body: { ...SHOP, name: 'mine' }, headers: { 'idempotency-key': 'k6' } };
    const [here, there] = [
      await api.ask('POST', URL, options),
      await api.ask('POST', URL, { ...options, elsewhere: true }),
    ];
    expect([here.status, there.status]).toEqual([201, 201]);
    expect(here.body.id).not.toBe(there.body.id);
  });

  it('does not do again what takes long', async () => {
    const { body } = await keyed('k7', { ...SHOP, name: 'slow' });
    const asked = () => api.services.asked.filter(({ subject }) => subject === body.id).length;
    await keyed('k8', undefined, `${URL}/${body.id}/test`);
    await keyed('k8', undefined, `${URL}/${body.id}/test`);
    expect(asked()).toBe(1);
  });

  it('does not bring back a token', async () => {
    const wanted = { name: 'ci', role: 'viewer' };
    const first = await keyed('k9', wanted, '/api/v1/tokens');
    expect(first.body.token).toMatch(/^fb_/);
    const again = await keyed('k9', wanted, '/api/v1/tokens');
    expect(again.body).toMatchObject({ id: first.body.id, token: null });
    const kept = await api.metadata.db.selectFrom('idempotency_keys').selectAll().execute();
    expect(JSON.stringify(kept)).not.toContain(first.body.token);
  });

  it.each(['', ' ', 'a b', 'x'.repeat(256), 'é'])('that is none is refused: %j', async (key) => {
    const answer = await keyed(key, { ...SHOP, name: `bad ${key.length}` });
    if (key.trim() === '') expect(answer.status).toBe(400);
    else expect(asProblem(answer).errors[0]?.pointer).toBe('/idempotency-key');
  });
});

describe('the audit log', () => {
  it('has what was changed, by whom, without secrets, unbroken', async () => {
    await api.ask('POST', URL, { role: 'editor', body: { ...SHOP, name: 'audited' } });
    const { body } = await api.ask('GET', '/api/v1/audit-log?limit=1');
    expect(body.audit_log[0]).toMatchObject({
      action: 'connection.create',
      resource_type: 'connection',
      details: { name: 'audited', secrets: ['password'] },
      address: '127.0.0.1',
    });
    expect(body.next_cursor).toEqual(expect.any(String));
    expect((await verifyAudit(api.metadata.db, api.scope)).brokenAt).toBeNull();
  });

  it('has nothing of what was refused', async () => {
    const before = await api.ask('GET', '/api/v1/audit-log?limit=1');
    await api.ask('POST', URL, { body: { ...SHOP, name: 'audited' } });
    const after = await api.ask('GET', '/api/v1/audit-log?limit=1');
    expect(after.body.audit_log[0].id).toBe(before.body.audit_log[0].id);
  });
});

describe('a cursor', () => {
  it('walks through all, each once, while more come', async () => {
    const names = new Set<string>();
    let cursor: string | null = null;
    let pages = 0;
    do {
      const query: string = cursor === null ? '' : `&cursor=${cursor}`;
      const { body } = await api.ask('GET', `${URL}?limit=2${query}`);
      for (const { name } of body.connections) {
        expect(names.has(name)).toBe(false);
        names.add(name);
      }
      cursor = body.next_cursor;
      pages += 1;
      await api.ask('POST', URL, { body: { ...SHOP, name: `later ${pages}` } });
    } while (cursor !== null && pages < 50);
    expect(names).toContain('once');
    expect([...names].filter((name) => name.startsWith('later'))).toEqual([]);
  });

  it('of another list, organisation or filter, or that was changed, is refused', async () => {
    const { body } = await api.ask('GET', `${URL}?limit=1`);
    const cursor: string = body.next_cursor;
    const flipped = `${cursor.slice(0, -1)}${cursor.endsWith('A') ? 'B' : 'A'}`;
    for (const [url, elsewhere] of [
      [`/api/v1/pipelines?cursor=${cursor}`, false],
      [`${URL}?cursor=${cursor}`, true],
      [`${URL}?cursor=${flipped}`, false],
      [`${URL}?cursor=AAAA`, false],
      [`/api/v1/etl/executions?status=failed&cursor=${cursor}`, false],
    ] as const) {
      const answer = await api.ask('GET', url, { elsewhere });
      expect(asProblem(answer)).toMatchObject({ status: 400, errors: [{ pointer: '/cursor' }] });
    }
  });
});
