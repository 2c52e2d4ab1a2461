/** What a snapshot sees, by transaction id. Form: `xmin:xmax:xip,xip,...` (PostgreSQL type pg_snapshot). */
export interface Visibility {
  readonly xmin: bigint;
  readonly xmax: bigint;
  readonly inProgress: ReadonlySet<bigint>;
}

export function parseVisibility(text: string): Visibility {
  const [xmin = '0', xmax = '0', list = ''] = text.split(':');
  return {
    xmin: BigInt(xmin),
    xmax: BigInt(xmax),
    inProgress: new Set(list === '' ? [] : list.split(',').map(BigInt)),
  };
}

const HALF = 0x80000000n;
const WRAP = 0x100000000n;

/** The change stream names transactions by 32 bits; the full id is the one nearest to the snapshot. */
export function widenXid(xid: number, near: bigint): bigint {
  const candidate = (near & ~0xffffffffn) | BigInt(xid >>> 0);
  if (candidate > near + HALF) return candidate - WRAP;
  if (candidate + HALF < near) return candidate + WRAP;
  return candidate;
}

export function isVisible(visibility: Visibility, xid: number): boolean {
  const full = widenXid(xid, visibility.xmax);
  if (full < visibility.xmin) return true;
  return full < visibility.xmax && !visibility.inProgress.has(full);
}
