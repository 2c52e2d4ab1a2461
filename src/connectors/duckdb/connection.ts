/** A DuckDB file as source and destination share it: opened on first use, so that looking creates nothing. */
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { ConnectorContext, SystemAddress } from '../../core/connector.ts';
import { ForebayError } from '../../core/errors.ts';
import { databasePath, MEMORY_PATH } from './config.ts';
import { WorkerClient } from './worker-client.ts';

const MEBIBYTE = 1024 * 1024;
const LEAST_MEMORY = 64 * MEBIBYTE;
/** DuckDB's share of the pipeline's budget; what it holds outside its own limit comes on top. */
const SHARE = 4;

const OPTIONS = ['memory-mib'] as const;

function memoryBytes(context: ConnectorContext): number {
  const wanted = context.options['duckdb.memory-mib'];
  if (wanted === undefined) return Math.max(LEAST_MEMORY, Math.floor(context.memoryBytes / SHARE));
  const mebibytes = Number(wanted);
  if (!Number.isInteger(mebibytes) || mebibytes < 64) {
    throw new ForebayError('invalid_option', {
      message: 'duckdb.memory-mib is a whole number of MiB, at least 64',
    });
  }
  return mebibytes * MEBIBYTE;
}

function checkOptions(context: ConnectorContext): void {
  for (const name of Object.keys(context.options)) {
    const own = /^duckdb\.(.+)$/.exec(name)?.[1];
    if (own === undefined || OPTIONS.some((known) => known === own)) continue;
    throw new ForebayError('invalid_option', {
      message: `The DuckDB connector has no option ${name}`,
      fix: `Known options: ${OPTIONS.map((known) => `duckdb.${known}`).join(', ')}.`,
    });
  }
}

async function isAllowed(path: string, mode: number): Promise<boolean> {
  try {
    await access(path, mode);
    return true;
  } catch {
    return false;
  }
}

export class DuckdbFile implements AsyncDisposable {
  readonly path: string;
  readonly context: ConnectorContext;
  readonly #memoryBytes: number;
  #client: Promise<WorkerClient> | null = null;

  constructor(address: SystemAddress, context: ConnectorContext) {
    checkOptions(context);
    this.path = databasePath(address);
    this.context = context;
    this.#memoryBytes = memoryBytes(context);
  }

  async exists(): Promise<boolean> {
    if (this.path === MEMORY_PATH) return true;
    try {
      return (await stat(this.path)).isFile();
    } catch {
      return false;
    }
  }

  /** Fails where no database can be or be made; creates nothing. */
  async assertUsable(purpose: 'read' | 'write'): Promise<void> {
    if (this.path === MEMORY_PATH) return;
    const entry = await stat(this.path).catch(() => null);
    if (entry !== null) {
      if (!entry.isFile()) throw this.#failure('database_damaged', 'is no file');
      if (!(await isAllowed(this.path, constants.R_OK))) {
        throw this.#failure('privilege_missing', 'cannot be read', 'Make the file readable.');
      }
      if (purpose === 'read') return;
      if (!(await isAllowed(this.path, constants.W_OK))) {
        throw this.#failure('read_only', 'cannot be written');
      }
    } else if (purpose === 'read') {
      throw this.#failure('database_missing', 'does not exist', 'Correct the path.');
    }
    await this.#assertDirectory();
  }

  /** The open file; opened, and made where it is missing, on the first call. */
  client(): Promise<WorkerClient> {
    this.#client ??= this.#lease();
    // A failed opening may be tried again, e.g. after another process let go of the file.
    this.#client.catch(() => {
      this.#client = null;
    });
    return this.#client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const client = await this.#client?.catch(() => null);
    this.#client = null;
    await client?.[Symbol.asyncDispose]();
  }

  async #lease(): Promise<WorkerClient> {
    const readOnly = (await this.exists()) && !(await isAllowed(this.path, constants.W_OK));
    const memory = this.path === MEMORY_PATH;
    if (!memory) await this.assertUsable(readOnly ? 'read' : 'write');
    return WorkerClient.lease(
      { path: this.path, memoryBytes: this.#memoryBytes, readOnly: readOnly && !memory },
      ({ event, fields }) => this.context.notice(event, fields),
    );
  }

  /** DuckDB writes its log beside the file. */
  async #assertDirectory(): Promise<void> {
    const directory = dirname(this.path);
    const entry = await stat(directory).catch(() => null);
    if (entry === null || !entry.isDirectory()) {
      throw this.#failure(
        'database_missing',
        'lies in a directory that does not exist',
        'Create the directory.',
      );
    }
    if (!(await isAllowed(directory, constants.W_OK))) {
      throw this.#failure('read_only', 'lies in a directory that cannot be written');
    }
  }

  #failure(
    code: 'database_missing' | 'database_damaged' | 'read_only' | 'privilege_missing',
    what: string,
    fix?: string,
  ): ForebayError {
    return new ForebayError(code, {
      message: `The DuckDB file ${this.path} ${what}`,
      ...(fix === undefined ? {} : { fix }),
    });
  }
}
