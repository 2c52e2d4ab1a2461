import type { LogicalType } from './value.ts';

/** A stream's place in its system. */
export interface StreamName {
  readonly namespace: string;
  readonly name: string;
}

/** `namespace.name`, the id under which results, events and metadata know the stream. */
export type StreamId = string;

export function streamId(name: StreamName): StreamId {
  return `${name.namespace}.${name.name}`;
}

export interface Column {
  readonly name: string;
  readonly type: LogicalType;
  /** The type as the source's own SQL writes it, e.g. `numeric(12,2)`; a destination of the same family reads it. */
  readonly nativeType: string;
  readonly nullable: boolean;
  /**
   * Identity of the column inside the table, owned by the connector (PostgreSQL: attribute number).
   * It outlives a rename, which is how a rename is proved.
   */
  readonly ref: string;
  /**
   * What the column holds in rows that were there before it was added; left out where that was never asked.
   * `unknown`: each row may hold another value, so they must be read again.
   */
  readonly existingRows?: ExistingRows;
}

export type ExistingRows =
  | { readonly kind: 'null' }
  | { readonly kind: 'value'; readonly text: string }
  | { readonly kind: 'unknown' };

/** A column that the source computes and does not send; a destination of the same family may compute it too. */
export interface ComputedColumn {
  readonly name: string;
  readonly nativeType: string;
  readonly expression: string;
}

/**
 * How rows are told apart.
 * `key`       by the columns in `key` (primary key, or the unique index that is the replica identity)
 * `whole-row` no key, but the source sends whole old rows: equal rows are counted, not told apart
 * `none`      updates and deletes cannot be followed
 */
export type RowIdentity = 'key' | 'whole-row' | 'none';

export interface StreamSchema {
  readonly stream: StreamName;
  /** Identity of the table inside the source (PostgreSQL: oid); changes when it is dropped and made anew. */
  readonly ref: string;
  /** 1 at discovery, one more with each change followed on the stream. */
  readonly version: number;
  readonly columns: readonly Column[];
  readonly computed: readonly ComputedColumn[];
  readonly identity: RowIdentity;
  /** Indexes into `columns`, in key order; empty unless identity is `key`. */
  readonly key: readonly number[];
  /** System that the native types belong to, e.g. `postgres`. */
  readonly family: string;
  /** The source does not know in which encoding its text is: cells of text may hold bytes that are no UTF-8. */
  readonly rawText?: boolean;
}
