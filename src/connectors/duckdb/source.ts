import type {
  CatalogStream,
  Finding,
  SnapshotCapability,
  SnapshotReader,
  Source,
} from '../../core/connector.ts';
import type { StreamSchema } from '../../core/stream-schema.ts';
import { checkFile } from './check.ts';
import type { DuckdbFile } from './connection.ts';
import { DuckdbSnapshot } from './snapshot.ts';

export class DuckdbSource implements Source {
  readonly family = 'duckdb';
  readonly snapshot: SnapshotCapability;
  readonly #file: DuckdbFile;

  constructor(file: DuckdbFile) {
    this.#file = file;
    this.snapshot = { open: (options) => this.#openSnapshot(options.parallel) };
  }

  check(_streams: readonly StreamSchema[] | null): Promise<Finding[]> {
    return checkFile(this.#file, 'read');
  }

  async discover(): Promise<readonly CatalogStream[]> {
    await this.#file.assertUsable('read');
    const client = await this.#file.client();
    const tables = await client.call('discover');
    return tables.map(({ schema, estimatedRows }) => ({
      schema,
      readable: true,
      estimatedRows,
      estimatedBytes: null,
    }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file[Symbol.asyncDispose]();
  }

  async #openSnapshot(parallel: number): Promise<SnapshotReader> {
    await this.#file.assertUsable('read');
    const client = await this.#file.client();
    const id = await client.call('openSnapshot', parallel);
    return new DuckdbSnapshot(client, this.#file.context, id);
  }
}
