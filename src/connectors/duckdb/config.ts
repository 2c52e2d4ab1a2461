import { createHash } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { SystemAddress } from '../../core/connector.ts';
import { ForebayError } from '../../core/errors.ts';
import { Secret } from '../../core/secret.ts';

export const MEMORY_PATH = ':memory:';

/** The same file by another way in is the same system. */
function canonicalPath(path: string): string {
  const absolute = resolve(path);
  try {
    return realpathSync(absolute);
  } catch {
    try {
      return join(realpathSync(dirname(absolute)), basename(absolute));
    } catch {
      return absolute;
    }
  }
}

export function databasePath(address: SystemAddress): string {
  const path = address.url.reveal().slice('duckdb:'.length);
  return path === MEMORY_PATH ? path : canonicalPath(path);
}

/** Reads `duckdb:path/to/file.duckdb` and `duckdb::memory:`. */
export function parseAddress(url: string): SystemAddress {
  const path = url.startsWith('duckdb:') ? url.slice('duckdb:'.length) : '';
  if (path === '' || path.endsWith('/') || path.includes('\0')) {
    throw new ForebayError('invalid_url', {
      message: 'A DuckDB system is named by its file',
      fix: 'Write duckdb:path/to/file.duckdb.',
    });
  }
  if (path.startsWith('//')) {
    throw new ForebayError('invalid_url', {
      message: 'A DuckDB system is a file, not a server',
      fix: 'Write duckdb:path/to/file.duckdb or duckdb:/absolute/path.duckdb.',
    });
  }
  const isMemory = path === MEMORY_PATH;
  const address = {
    connector: 'duckdb',
    url: new Secret(`duckdb:${path}`),
    display: url,
    reaches: { hosts: [], files: isMemory ? [] : [path] },
  };
  if (isMemory) return { ...address, identity: 'duckdb:memory', label: 'memory' };
  const label = basename(path).replace(/\.(duckdb|ddb|db)$/i, '') || basename(path);
  const hash = createHash('sha256').update(canonicalPath(path)).digest('hex').slice(0, 16);
  return { ...address, identity: `duckdb:${hash}`, label };
}
