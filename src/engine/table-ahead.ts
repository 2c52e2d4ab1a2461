/**
 * Tables whose columns have gone on since the place that the stream has come to. Such a table is not loaded: values
 * of a column that the stream does not know would be left out, and the changes that brought them are skipped later,
 * because the snapshot shows them. The stream tells of the columns with the table's next row; where none comes, the
 * catalog is taken at its word once everything that was written under the old columns has been applied.
 */
import type { CatalogStream, ChangeCapability } from '../core/connector.ts';
import type { ErrorCode, ForebayError } from '../core/errors.ts';
import type { Position } from '../core/position.ts';
import { streamId, type StreamSchema } from '../core/stream-schema.ts';
import { isSameShape } from './schema-evolution.ts';
import type { RunningStream } from './stream-state.ts';

interface Ahead {
  readonly shape: StreamSchema;
  /** No change after this was written under earlier columns. */
  readonly after: Position;
}

export type Readiness =
  | { readonly kind: 'ready' }
  | { readonly kind: 'wait' }
  | { readonly kind: 'adopt'; readonly shape: StreamSchema };

/** How a chunk fails whose table has other columns than the stream has told of so far. */
const AHEAD: ReadonlySet<ErrorCode> = new Set([
  'column_missing',
  'table_missing',
  'schema_change',
  'protocol',
]);

export class TablesAhead {
  readonly #changes: Pick<ChangeCapability, 'comparePositions' | 'currentPosition'>;
  readonly #known = new Map<RunningStream, Ahead>();
  /** Streams whose chunk failed, and how far the log must be applied for the cause to have been told. */
  readonly #failed = new Map<
    RunningStream,
    { readonly reason: string; readonly until: Position }
  >();

  constructor(changes: Pick<ChangeCapability, 'comparePositions' | 'currentPosition'>) {
    this.#changes = changes;
  }

  /** True while nothing that a new snapshot could show would let the stream be loaded. */
  mustWait(stream: RunningStream, applied: Position): boolean {
    const isBefore = (position: Position | undefined): boolean =>
      position !== undefined && this.#changes.comparePositions(applied, position) < 0;
    if (isBefore(this.#failed.get(stream)?.until)) return true;
    const ahead = this.#known.get(stream);
    return ahead !== undefined && !isSameShape(stream.target.schema, ahead.shape)
      ? isBefore(ahead.after)
      : false;
  }

  /**
   * True if the failure of a chunk may be one of a table that is ahead, and that has not been waited for yet: until
   * all is applied that was committed by now.
   */
  async failed(stream: RunningStream, { code }: ForebayError): Promise<boolean> {
    const reason = `${code} ${stream.target.schema.version}`;
    if (!AHEAD.has(code) || this.#failed.get(stream)?.reason === reason) return false;
    this.#failed.set(stream, { reason, until: await this.#changes.currentPosition() });
    return true;
  }

  /** Everything has been told by now: a column that is still not there was dropped. */
  hasWaited(stream: RunningStream): boolean {
    return this.#failed.has(stream);
  }

  forget(stream: RunningStream): void {
    this.#failed.delete(stream);
    this.#known.delete(stream);
  }

  /** `catalog` is that of the snapshot under which the stream is to be loaded. */
  async look(stream: RunningStream, catalog: readonly CatalogStream[]): Promise<Readiness> {
    const { schema, id } = stream.target;
    const shape = catalog.find(
      (entry) => entry.schema.ref === schema.ref && streamId(entry.schema.stream) === id,
    )?.schema;
    // A table that is gone, or has another name, is noticed elsewhere.
    if (shape === undefined || isSameShape(schema, shape)) {
      this.#known.delete(stream);
      return { kind: 'ready' };
    }
    const ahead = this.#known.get(stream);
    if (ahead !== undefined && isSameShape(ahead.shape, shape)) return { kind: 'adopt', shape };
    this.#known.set(stream, { shape, after: await this.#changes.currentPosition() });
    return { kind: 'wait' };
  }
}
