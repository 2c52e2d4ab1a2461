import { createServer } from 'node:http';
import { type AddressInfo, isIP } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EgressPolicy, guardedLookup, isAllowed, resolveGuarded } from './egress.ts';
import { createHttpPost } from './events/http-post.ts';

let calls = 0;
const server = createServer((_, response) => {
  calls += 1;
  response.end();
});
let port = 0;
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});
afterAll(() => server.close());

/** Ways to write this machine, its link, and private networks, as attackers do. */
const NEVER = [
  '127.0.0.1',
  '127.255.255.254',
  '2130706433',
  '0x7f000001',
  '0177.0.0.1',
  '0x7f.1',
  '127.1',
  '0',
  '0.0.0.0',
  '169.254.169.254',
  '2852039166',
  '0251.0376.0251.0376',
  '100.100.100.200',
  '168.63.129.16',
  '[::1]',
  '[::]',
  '[::ffff:127.0.0.1]',
  '[::ffff:7f00:1]',
  '[::ffff:0:127.0.0.1]',
  '[::127.0.0.1]',
  '[64:ff9b::127.0.0.1]',
  '[64:ff9b::a9fe:a9fe]',
  '[64:ff9b:1::a9fe:a9fe]',
  '[2002:7f00:1::]',
  '[2002:a9fe:a9fe::1]',
  '[2001:0:7f00:1::]',
  '[fe80::1]',
  '[fec0::1]',
  '[fd00:ec2::254]',
  '[ff02::1]',
  '224.0.0.1',
  '255.255.255.255',
  '127。0。0。1',
  '①②⑦.0.0.1',
];
const PRIVATE = [
  '10.0.0.1',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.1',
  '100.64.0.1',
  '[fd12:3456::1]',
  '[::ffff:10.0.0.1]',
  '[64:ff9b::10.0.0.1]',
  '[2002:a00:1::]',
];
const PUBLIC = ['8.8.8.8', '172.32.0.1', '100.128.0.1', '[2606:4700::1111]', '[64:ff9b::8.8.8.8]'];

const addressOf = (host: string): string =>
  new URL(`http://${host}/`).hostname.replace(/^\[(.*)\]$/, '$1');

describe('egress', () => {
  it.each(NEVER)('%s is refused unless all is open', (host) => {
    const address = addressOf(host);
    expect(isIP(address)).not.toBe(0);
    expect([isAllowed('private', address), isAllowed('public', address)]).toEqual([false, false]);
    expect(isAllowed('open', address)).toBe(true);
  });

  it.each(PRIVATE)('%s is private', (host) => {
    const address = addressOf(host);
    expect([isAllowed('private', address), isAllowed('public', address)]).toEqual([true, false]);
  });

  it.each(PUBLIC)('%s is public', (host) => {
    expect(isAllowed('public', addressOf(host))).toBe(true);
  });

  it('judges an IPv4 address the same however IPv6 carries it', () => {
    const group = fc.integer({ min: 0, max: 0xffff });
    const policy = fc.constantFrom<EgressPolicy>('private', 'public');
    const part = (value: number): string => value.toString(16);
    fc.assert(
      fc.property(group, group, policy, (high, low, chosen) => {
        const plain = [high >> 8, high & 255, low >> 8, low & 255].join('.');
        const expected = isAllowed(chosen, plain);
        for (const carried of [
          `::ffff:${part(high)}:${part(low)}`,
          `64:ff9b::${part(high)}:${part(low)}`,
          `64:ff9b:1::${part(high)}:${part(low)}`,
          `2002:${part(high)}:${part(low)}::1`,
        ])
          expect([carried, isAllowed(chosen, carried)]).toEqual([carried, expected]);
      }),
    );
  });

  it.each(NEVER)('nothing reaches the server as %s', async (host) => {
    using post = createHttpPost({ url: `http://${host}:${port}/`, policy: 'private' });
    const { signal } = new AbortController();
    await expect(post.send({ headers: {}, body: '{}', signal })).rejects.toMatchObject({
      code: 'egress_refused',
    });
    expect(calls).toBe(0);
  });

  it('judges a name at each connection: one that is repointed gains nothing', async () => {
    const answers = ['8.8.8.8', '127.0.0.1'];
    const lookup = guardedLookup('private', (_, done) =>
      done(null, [{ address: answers.shift() ?? '127.0.0.1', family: 4 }]),
    );
    const asked = (): Promise<unknown> =>
      new Promise((resolve) =>
        lookup('name.example', { all: true }, (error, found) => resolve(error ?? found)),
      );
    expect(await asked()).toEqual([{ address: '8.8.8.8', family: 4 }]);
    expect(await asked()).toMatchObject({ code: 'egress_refused' });
    using post = createHttpPost({ url: `http://name.example:${port}/`, policy: 'private', lookup });
    const { signal } = new AbortController();
    await expect(post.send({ headers: {}, body: '', signal })).rejects.toMatchObject({
      code: 'egress_refused',
    });
    expect(calls).toBe(0);
  });

  it('refuses a name of which one address is refused', async () => {
    const lookup = guardedLookup('public', (_, done) =>
      done(null, [
        { address: '8.8.8.8', family: 4 },
        { address: '::1', family: 6 },
      ]),
    );
    const error = await new Promise((resolve) => lookup('name.example', {}, resolve));
    expect(error).toMatchObject({ code: 'egress_refused' });
  });

  it('lets this machine be reached where all is open', async () => {
    using post = createHttpPost({ url: `http://localhost:${port}/`, policy: 'open' });
    const { signal } = new AbortController();
    expect(await post.send({ headers: {}, body: '', signal })).toMatchObject({ status: 200 });
    await expect(resolveGuarded('private', 'localhost')).rejects.toMatchObject({
      code: 'egress_refused',
    });
  });
});
