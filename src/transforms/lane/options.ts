import type { ConnectorContext, StreamTarget } from '../../core/connector.ts';
import type { RejectedRow } from '../../core/dead-letter.ts';
import type { StreamSchema } from '../../core/stream-schema.ts';
import type { PushDown } from '../custom/push-down.ts';
import type { Outcome } from '../document-transform.ts';

/** Runs a transformation on documents; outcomes in their order. */
export interface DocumentRunner {
  run(documents: readonly string[], signal: AbortSignal): Promise<readonly Outcome[]>;
}

/** What becomes of a row when there is nothing left to try. */
export type LastResort = 'skip' | 'dead_letter' | 'fail_stream';

export interface LaneErrors {
  readonly lastResort: LastResort;
  /** Further tries of a row that failed. */
  readonly maxRetries: number;
  readonly retryDelayMs: number;
}

export interface LaneOptions {
  /** Names the transformation and changes with it, so that its new fields are looked for. */
  readonly id: string;
  readonly runner: DocumentRunner;
  /** For finding out which fields come, where the runner filters: the same without filters. */
  readonly probe?: DocumentRunner;
  /** What of the transformation the source can do in its own query; absent where it cannot do any of it. */
  readonly pushDown?: (schema: StreamSchema) => PushDown;
  /** Stands between the names of nested fields that become columns; null: nested values stay JSON. */
  readonly flatten: string | null;
  readonly onError: LaneErrors;
  readonly schemaChanges: 'evolve' | 'pause' | 'ignore';
  /** Where rejected rows go instead of the destination's own dead letters; they are safe there when it resolves. */
  readonly divert?: (target: StreamTarget, rows: readonly RejectedRow[]) => Promise<void>;
  readonly context: Pick<ConnectorContext, 'slabs' | 'signal' | 'notice'>;
}

/** Names of nested fields in column names, also where none are asked for. */
export const NAME_SEPARATOR = '_';
