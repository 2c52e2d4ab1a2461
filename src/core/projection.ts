/**
 * What a source may be asked to make of a table's rows while it reads them, so that what is left out never leaves it.
 * Plain data; columns are indexes into the columns of the stream's schema.
 */
import type { StreamSchema } from './stream-schema.ts';
import type { CellEncoding } from './value.ts';

export type ProjectedColumn =
  /** As it is. */
  | { readonly kind: 'column'; readonly column: number }
  /** Of a text, the first characters. */
  | { readonly kind: 'prefix'; readonly column: number; readonly characters: number }
  /** This text in the place of every value but NULL. */
  | { readonly kind: 'replaced'; readonly column: number; readonly text: string }
  /** The same in every row, in the text form of `core/value.ts`. */
  | { readonly kind: 'constant'; readonly text: string | null };

export type PredicateOperator = '=' | '<>' | '<' | '<=' | '>' | '>=';

/** With three values, as in SQL. None can fail on any row, but `value` where its text is none of the type. */
export type Predicate =
  | { readonly kind: 'constant'; readonly value: boolean | null }
  /** The column is of type boolean. */
  | { readonly kind: 'is-true'; readonly column: number }
  | { readonly kind: 'is-null'; readonly column: number }
  /** The column is an integer, `number` is one in decimal digits, with a sign and a fraction or without. */
  | {
      readonly kind: 'number';
      readonly column: number;
      readonly operator: PredicateOperator;
      readonly number: string;
    }
  /** The column's text form, by the order of its bytes; `text` is printable ASCII. */
  | {
      readonly kind: 'text';
      readonly column: number;
      readonly operator: PredicateOperator;
      readonly text: string;
    }
  /** By the order of the column's own type; `text` is a value of it in the form of `core/value.ts`. */
  | {
      readonly kind: 'value';
      readonly column: number;
      readonly operator: PredicateOperator;
      readonly text: string;
    }
  | { readonly kind: 'not'; readonly part: Predicate }
  | { readonly kind: 'and' | 'or'; readonly parts: readonly Predicate[] };

export interface Projection {
  /** What rows are afterwards, with a column per entry of `columns`. */
  readonly schema: StreamSchema;
  readonly columns: readonly ProjectedColumn[];
  /** Rows for which it is not true are left out; null keeps all. */
  readonly where: Predicate | null;
}

/** A projection with what the destination wants of its rows. */
export interface PlannedProjection {
  readonly projection: Projection;
  /** One per column of the projection. */
  readonly encodings: readonly CellEncoding[];
  /** As in `TargetPlan`. */
  readonly frameFormat: string | null;
}
