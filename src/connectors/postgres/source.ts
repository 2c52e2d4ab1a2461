import type { CatalogStream, Finding, SnapshotCapability, Source } from '../../core/connector.ts';
import type { StreamSchema } from '../../core/stream-schema.ts';
import { PostgresChanges } from './changes.ts';
import { checkSource } from './check.ts';
import { discover, FAMILY } from './discover.ts';
import { asTableHeld } from './held-table.ts';
import { placeOf } from './place.ts';
import { FRAME_FORMAT } from './snapshot.ts';
import type { PostgresSystem } from './system.ts';

export class PostgresSource implements Source {
  readonly family = FAMILY;
  readonly changes: PostgresChanges;
  readonly snapshot: SnapshotCapability;
  readonly #system: PostgresSystem;

  constructor(system: PostgresSystem) {
    this.#system = system;
    this.changes = new PostgresChanges(system);
    this.snapshot = {
      frameFormat: FRAME_FORMAT,
      projects: true,
      open: ({ parallel, lockWaitMs = 0 }) =>
        system.openSnapshot({
          parallel,
          exported: null,
          lockWaitMs,
          release: () => Promise.resolve(),
        }),
    };
  }

  place(): Promise<string> {
    return placeOf(this.#system.catalog);
  }

  check(
    streams: readonly StreamSchema[] | null,
    purpose: 'snapshot' | 'changes',
  ): Promise<Finding[]> {
    return checkSource(this.#system.catalog, streams, purpose);
  }

  discover(): Promise<readonly CatalogStream[]> {
    return asTableHeld(null, () => discover(this.#system.catalog));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#system[Symbol.asyncDispose]();
  }
}
