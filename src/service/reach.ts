/** Where a server's connections may lead: addresses of the network, and files of its machine. */
import { lstatSync, realpathSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import type { NamedSystem } from '../connectors/registry.ts';
import { ForebayError } from '../core/errors.ts';
import { type EgressPolicy, guardedLookup, refuseLiteral } from './egress.ts';

export interface Reach {
  readonly egress: EgressPolicy;
  /** Absolute folders; null: files everywhere. */
  readonly fileRoots: readonly string[] | null;
}

const isThere = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false }) !== undefined;

/** Where a path leads, links followed as far as there is something. Fails where that cannot be told. */
function real(path: string): string {
  const parent = dirname(path);
  // A link to nothing is there: a file that is made by it would come to lie where it leads.
  if (parent === path || isThere(path)) return realpathSync(path);
  return join(real(parent), relative(parent, path));
}

function isWithin(folder: string, path: string): boolean {
  return path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}

function refuseFile(path: string, roots: readonly string[]): void {
  const outside = (why: string): ForebayError =>
    new ForebayError('file_outside_roots', {
      message: `${path} is outside of the folders that connections may use`,
      why,
    });
  const named = `file_roots: ${roots.join(', ')}`;
  let target: string;
  try {
    target = real(resolve(path));
  } catch (error) {
    throw outside(error instanceof Error ? error.message : String(error));
  }
  if (!roots.some((root) => isWithin(real(root), target))) throw outside(named);
}

/**
 * Files and addresses that are written out are judged now, names of hosts at each connection.
 * Fails with `egress_refused` or `file_outside_roots`.
 */
export function guardSystem(system: NamedSystem, { egress, fileRoots }: Reach): NamedSystem {
  const { address } = system;
  if (fileRoots !== null) for (const file of address.reaches.files) refuseFile(file, fileRoots);
  if (egress === 'open') return system;
  for (const host of address.reaches.hosts) refuseLiteral(egress, host);
  return { ...system, address: { ...address, lookup: guardedLookup(egress) } };
}
