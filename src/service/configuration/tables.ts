/** Which tables a stream reads and writes, as globs, and whether two of them may meet. Pure. */
import type { SystemType } from './schema-systems.ts';

export interface TableSet {
  readonly glob: string;
  readonly exclude: readonly string[];
}

interface Side {
  readonly type: SystemType;
  readonly database: string;
  readonly table: string | null;
}

export function isGlob(text: string): boolean {
  return /[*?]/.test(text);
}

/** `schema.name` in PostgreSQL, `name` elsewhere, where the database is no part of the name. */
function qualified({ type, database }: Side, glob: string): string {
  if (type !== 'postgres') {
    return glob.startsWith(`${database}.`) ? glob.slice(database.length + 1) : glob;
  }
  return glob === '*' || glob.includes('.') ? glob : `public.${glob}`;
}

export function readTables(side: Side, exclude: readonly string[]): TableSet {
  return {
    glob: qualified(side, side.table ?? '*'),
    exclude: exclude.map((glob) => qualified(side, glob)),
  };
}

function split(glob: string): { readonly schema: string; readonly name: string } {
  const dot = glob.indexOf('.');
  return dot < 0
    ? { schema: '*', name: glob }
    : { schema: glob.slice(0, dot), name: glob.slice(dot + 1) };
}

/** Tables keep their names unless the destination gives one; `schema` is the destination's own, if given. */
export function writtenTables(source: Side, destination: Side, schema: string | null): TableSet {
  const read = readTables(source, []).glob;
  const own = destination.table;
  const { schema: readSchema, name } = split(own ?? read);
  if (destination.type !== 'postgres') {
    return { glob: own === null ? name : qualified(destination, own), exclude: [] };
  }
  const hasSchema = own === null ? source.type === 'postgres' : own.includes('.');
  const inherited = source.type === 'postgres' ? split(read).schema : '*';
  return { glob: `${schema ?? (hasSchema ? readSchema : inherited)}.${name}`, exclude: [] };
}

/** Whether two globs differ before the first wildcard of either. */
function beginOtherwise(left: string, right: string): boolean {
  const length = Math.min(left.length, right.length);
  for (let at = 0; at < length; at += 1) {
    const [one, other] = [left[at], right[at]];
    if (one === '*' || one === '?' || other === '*' || other === '?') return false;
    if (one !== other) return true;
  }
  return false;
}

/** Whether some name matches both. */
function meet(left: string, right: string): boolean {
  if (!isGlob(left) && !isGlob(right)) return left === right;
  // Settles nearly all pairs where thousands of streams have a schema each.
  if (beginOtherwise(left, right)) return false;
  // reach[j]: the first i characters of `left` can match what the first j of `right` match.
  let reach = [true, ...Array.from(right, (_, at) => /^\*+$/.test(right.slice(0, at + 1)))];
  for (const one of left) {
    const next = [one === '*' && reach[0] === true];
    for (let at = 0; at < right.length; at += 1) {
      const other = right[at] ?? '';
      // A star takes one more character of the other side, or none any more.
      const star = next[at] === true || reach[at + 1] === true;
      const same = one === other || one === '?' || other === '?';
      next.push(one === '*' || other === '*' ? star : same && reach[at] === true);
    }
    reach = next;
  }
  return reach[right.length] === true;
}

/** Whether every name that `inner` matches is matched by `outer`; may say no where it is so. */
function covers(outer: string, inner: string): boolean {
  const pattern = outer.replace(/[.+^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${pattern.replaceAll('*', '.*').replaceAll('?', '[^*]')}$`, 'su').test(inner);
}

/** Whether a table may be in both sets. */
export function overlap(left: TableSet, right: TableSet): boolean {
  if (!meet(left.glob, right.glob)) return false;
  const isExcluded = ({ glob }: TableSet, { exclude }: TableSet): boolean =>
    exclude.some((one) => covers(one, glob));
  return !isExcluded(left, right) && !isExcluded(right, left);
}
