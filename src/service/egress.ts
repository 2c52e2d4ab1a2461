/**
 * Where the server may connect to by addresses that somebody configured. Names are judged by every address that they
 * stand for, at the moment of the connection: a name that is repointed between a check and its use gains nothing.
 */
import { lookup as resolveName, type LookupAddress } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { ForebayError } from '../core/errors.ts';

/**
 * `open`: anywhere. `private`: public and private networks, neither this machine nor its link. `public`: addresses of
 * the internet alone.
 */
export type EgressPolicy = 'open' | 'private' | 'public';

type Reach = 'public' | 'private' | 'never';

type Ranges = readonly (readonly [address: string, prefix: number])[];

const PRIVATE_V4: Ranges = [
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  // Carrier-grade NAT.
  ['100.64.0.0', 10],
];
const NEVER_V4: Ranges = [
  // Services of clouds that tell a machine its secrets, within ranges that are private otherwise.
  ['100.100.100.200', 32],
  ['168.63.129.16', 32],
  ['0.0.0.0', 8],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
];
const PRIVATE_V6: Ranges = [['fc00::', 7]];
const NEVER_V6: Ranges = [
  ['fd00:ec2::254', 128],
  ['fd20:ce::254', 128],
];
/** Of IPv6 only this is given out to the internet so far; the rest is local, reserved or for several at once. */
const PUBLIC_V6: Ranges = [['2000::', 3]];
const NEVER_IN_PUBLIC_V6: Ranges = [
  // Teredo hides its IPv4 address; documentation; ORCHID.
  ['2001::', 32],
  ['2001:db8::', 32],
  ['2001:10::', 28],
  ['2001:20::', 28],
  ['3fff::', 20],
];

function listOf(ranges: Ranges, family: 'ipv4' | 'ipv6'): BlockList {
  const list = new BlockList();
  for (const [address, prefix] of ranges) list.addSubnet(address, prefix, family);
  return list;
}

const V4 = { private: listOf(PRIVATE_V4, 'ipv4'), never: listOf(NEVER_V4, 'ipv4') };
const V6 = {
  private: listOf(PRIVATE_V6, 'ipv6'),
  never: listOf([...NEVER_V6, ...NEVER_IN_PUBLIC_V6], 'ipv6'),
  public: listOf(PUBLIC_V6, 'ipv6'),
};

/** IPv6 addresses that stand for an IPv4 address, and at which of the eight groups that one begins. */
const CARRIERS: readonly (readonly [list: BlockList, group: number])[] = [
  // Mapped, translated (SIIT) and compatible.
  [listOf([['::ffff:0:0', 96]], 'ipv6'), 6],
  [listOf([['::ffff:0:0:0', 96]], 'ipv6'), 6],
  [listOf([['::', 96]], 'ipv6'), 6],
  // NAT64, of everybody and of a network of its own.
  [listOf([['64:ff9b::', 96]], 'ipv6'), 6],
  [listOf([['64:ff9b:1::', 48]], 'ipv6'), 6],
  // 6to4.
  [listOf([['2002::', 16]], 'ipv6'), 1],
];

/** The eight groups of an address that `isIP` takes for IPv6. */
function groupsOf(address: string): readonly number[] {
  const host = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const [head = '', tail] = host.split('::');
  const groups = (text: string): number[] =>
    text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
  const before = groups(head);
  if (tail === undefined) return before;
  const after = groups(tail);
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => 0);
  return [...before, ...zeros, ...after];
}

function v4Reach(address: string): Reach {
  if (V4.never.check(address, 'ipv4')) return 'never';
  return V4.private.check(address, 'ipv4') ? 'private' : 'public';
}

function v6Reach(address: string): Reach {
  for (const [list, group] of CARRIERS) {
    if (!list.check(address, 'ipv6')) continue;
    const groups = groupsOf(address);
    const bytes = [groups[group] ?? 0, groups[group + 1] ?? 0].flatMap((part) => [
      part >> 8,
      part & 0xff,
    ]);
    return v4Reach(bytes.join('.'));
  }
  if (V6.never.check(address, 'ipv6')) return 'never';
  if (V6.private.check(address, 'ipv6')) return 'private';
  return V6.public.check(address, 'ipv6') ? 'public' : 'never';
}

export function isAllowed(policy: EgressPolicy, address: string): boolean {
  if (policy === 'open') return true;
  // A zone belongs to the link, whatever the address.
  const family = address.includes('%') ? 0 : isIP(address);
  if (family === 0) return false;
  const reach = family === 4 ? v4Reach(address) : v6Reach(address);
  return reach === 'public' || (reach === 'private' && policy === 'private');
}

function refusal(host: string, policy: EgressPolicy): ForebayError {
  return new ForebayError('egress_refused', {
    message: `${host} leads to an address that may not be connected to (egress: ${policy})`,
  });
}

/** Of a host as it stands in a URL: the name, or the address without brackets. */
function bare(host: string): string {
  return host.startsWith('[') ? host.slice(1, -1) : host;
}

/** Connections to an address that is written out ask for no name: that is judged here. */
export function refuseLiteral(policy: EgressPolicy, host: string): void {
  const address = bare(host);
  if (isIP(address) !== 0 && !isAllowed(policy, address)) throw refusal(host, policy);
}

type Resolve = (host: string, done: (error: Error | null, found: LookupAddress[]) => void) => void;

const systemResolve: Resolve = (host, done) => {
  resolveName(host, { all: true }, (error, found) => done(error, found));
};

/** Goes as `lookup` into a connection. One address that is refused refuses the name. */
export function guardedLookup(policy: EgressPolicy, resolve = systemResolve): LookupFunction {
  return (host, options, done) => {
    resolve(host, (error, found) => {
      const [first] = found ?? [];
      if (error !== null) return done(error, '', 4);
      if (first === undefined || !found.every(({ address }) => isAllowed(policy, address)))
        return done(refusal(host, policy), '', 4);
      return options.all === true ? done(null, found) : done(null, first.address, first.family);
    });
  };
}

/** For clients that open their own connections: asks at once, and says where to. */
export function resolveGuarded(
  policy: EgressPolicy,
  host: string,
): Promise<readonly LookupAddress[]> {
  refuseLiteral(policy, host);
  return new Promise((resolve, reject) => {
    guardedLookup(policy)(bare(host), { all: true }, (error, found) => {
      if (error !== null) reject(error);
      else resolve(typeof found === 'string' ? [] : found);
    });
  });
}
