/** What a changed source schema means for a destination table. Pure. */
import type { EvolutionStep } from '../core/connector.ts';
import { ABSENT_CELL, type LogicalType, sameType } from '../core/value.ts';
import { type RowBatch, rowStride } from '../core/row-batch.ts';
import { type Column, streamId, type StreamSchema } from '../core/stream-schema.ts';
import type { SchemaChangePolicy } from './pipeline.ts';

export type EvolutionPlan =
  | {
      readonly kind: 'evolve';
      readonly steps: readonly EvolutionStep[];
      /** Rows that are there hold values that no event tells: the table is to be read again. */
      readonly readAgain: boolean;
      /** For people: one line per change. */
      readonly changes: readonly string[];
    }
  | { readonly kind: 'pause'; readonly reason: string }
  /** Rows are written in the shape the destination has. */
  | { readonly kind: 'ignore'; readonly changes: readonly string[] };

const DIGITS = { 16: 5, 32: 10, 64: 19 } as const;

/** Length limits of text-like types: `character varying(20)`. */
function lengthLimit(nativeType: string): number {
  const match = /\((\d+)\)$/.exec(nativeType);
  return match ? Number(match[1]) : Number.POSITIVE_INFINITY;
}

/** True if every value of `from` is one of `to`, and means the same. */
export function isWidening(from: Column, to: Column): boolean {
  const a: LogicalType = from.type;
  const b: LogicalType = to.type;
  if (a.kind === 'int' && b.kind === 'int') return b.bits >= a.bits;
  if (a.kind === 'float' && b.kind === 'float') return b.bits >= a.bits;
  if (a.kind === 'int' && b.kind === 'decimal') {
    return b.precision === null || b.precision - (b.scale ?? 0) >= DIGITS[a.bits];
  }
  if (a.kind === 'decimal' && b.kind === 'decimal') {
    if (b.precision === null) return true;
    if (a.precision === null) return false;
    const [aScale, bScale] = [a.scale ?? 0, b.scale ?? 0];
    return bScale >= aScale && b.precision - bScale >= a.precision - aScale;
  }
  if (a.kind === 'text' && b.kind === 'text') {
    return lengthLimit(to.nativeType) >= lengthLimit(from.nativeType);
  }
  return false;
}

function retyped(before: Column, after: Column): boolean {
  return before.nativeType !== after.nativeType || !sameType(before.type, after.type);
}

function keyRefs(schema: StreamSchema): string {
  return schema.key.map((column) => schema.columns[column]?.ref).join();
}

export interface SchemaDifference {
  readonly added: readonly number[];
  readonly dropped: readonly Column[];
  readonly renamed: readonly { readonly from: string; readonly column: number }[];
  readonly retyped: readonly { readonly before: Column; readonly column: number }[];
  readonly keyChanged: boolean;
}

export function compareSchemas(before: StreamSchema, after: StreamSchema): SchemaDifference {
  const old = new Map(before.columns.map((column) => [column.ref, column]));
  const now = new Set(after.columns.map((column) => column.ref));
  const both = after.columns.flatMap((column, index) => {
    const was = old.get(column.ref);
    return was === undefined ? [] : [{ was, column, index }];
  });
  return {
    added: after.columns.flatMap((column, index) => (old.has(column.ref) ? [] : [index])),
    dropped: before.columns.filter((column) => !now.has(column.ref)),
    renamed: both
      .filter(({ was, column }) => was.name !== column.name)
      .map(({ was, index }) => ({ from: was.name, column: index })),
    retyped: both
      .filter(({ was, column }) => retyped(was, column))
      .map(({ was, index }) => ({ before: was, column: index })),
    keyChanged: before.identity !== after.identity || keyRefs(before) !== keyRefs(after),
  };
}

export function isSameShape(before: StreamSchema, after: StreamSchema): boolean {
  const { added, dropped, renamed, retyped: changed, keyChanged } = compareSchemas(before, after);
  const differing = added.length + dropped.length + renamed.length + changed.length;
  return differing === 0 && !keyChanged && streamId(before.stream) === streamId(after.stream);
}

function describe(difference: SchemaDifference, after: StreamSchema): string[] {
  const name = (column: number): string => after.columns[column]?.name ?? '?';
  return [
    ...difference.added.map((column) => `column ${name(column)} added`),
    ...difference.dropped.map(
      (column) => `column ${column.name} dropped (kept at the destination)`,
    ),
    ...difference.renamed.map(({ from, column }) => `column ${from} renamed to ${name(column)}`),
    ...difference.retyped.map(
      ({ before, column }) =>
        `column ${name(column)} changed from ${before.nativeType} to ${after.columns[column]?.nativeType ?? '?'}`,
    ),
    ...(difference.keyChanged ? ['the key changed'] : []),
  ];
}

/**
 * `retired` are names of columns that the stream had before: one that comes back is another column, whose
 * earlier values at the destination are not its own.
 */
export function planEvolution(
  before: StreamSchema,
  after: StreamSchema,
  options: { readonly policy: SchemaChangePolicy; readonly retired: readonly string[] },
): EvolutionPlan {
  const difference = compareSchemas(before, after);
  const changes = describe(difference, after);
  if (options.policy === 'pause' && changes.length > 0) {
    return { kind: 'pause', reason: changes.join('; ') };
  }
  if (difference.keyChanged) return { kind: 'pause', reason: changes.join('; ') };
  if (options.policy === 'ignore') return { kind: 'ignore', changes };
  const narrowed = difference.retyped.filter(({ before: was, column }) => {
    const now = after.columns[column];
    return now !== undefined && !isWidening(was, now);
  });
  if (narrowed.length > 0) return { kind: 'pause', reason: changes.join('; ') };
  const gone = new Set([...options.retired, ...difference.dropped.map((column) => column.name)]);
  return {
    kind: 'evolve',
    steps: [
      ...orderRenames(difference.renamed, after),
      ...difference.retyped.map(({ column }): EvolutionStep => ({ kind: 'widen-column', column })),
      ...difference.added.map((column): EvolutionStep => {
        const existing = after.columns[column]?.existingRows;
        return {
          kind: 'add-column',
          column,
          existing: existing?.kind === 'value' ? existing.text : null,
        };
      }),
    ],
    readAgain: difference.added.some((column) => {
      const added = after.columns[column];
      return added?.existingRows?.kind === 'unknown' || gone.has(added?.name ?? '');
    }),
    changes,
  };
}

/** Renames in an order in which no name is taken; a ring (a swap) goes through a name of our own. */
function orderRenames(
  renames: readonly { readonly from: string; readonly column: number }[],
  after: StreamSchema,
): EvolutionStep[] {
  const steps: EvolutionStep[] = [];
  let left = [...renames];
  while (left.length > 0) {
    const taken = new Set(left.map((rename) => rename.from));
    const free = left.filter((rename) => !taken.has(after.columns[rename.column]?.name ?? ''));
    if (free.length === 0) {
      const [first, ...rest] = left;
      if (first === undefined) break;
      const parked = `_forebay_renaming_${first.column}`;
      steps.push({ kind: 'rename-column', from: first.from, column: first.column, to: parked });
      left = [...rest, { from: parked, column: first.column }];
      continue;
    }
    steps.push(
      ...free.map((rename): EvolutionStep => ({ kind: 'rename-column', ...rename, to: null })),
    );
    left = left.filter((rename) => !free.includes(rename));
  }
  return steps;
}

/** The batch in the shape of an earlier schema: columns are found by identity, new ones are left out. */
export function projectBatch(batch: RowBatch, onto: StreamSchema): RowBatch {
  const sources = onto.columns.map((column) =>
    batch.schema.columns.findIndex((candidate) => candidate.ref === column.ref),
  );
  const stride = rowStride(batch);
  const width = onto.columns.length * 2;
  const cells = new Int32Array(batch.rowCount * width);
  for (let row = 0; row < batch.rowCount; row += 1) {
    for (const [column, source] of sources.entries()) {
      const out = row * width + column * 2;
      const word = row * stride + source * 2;
      cells[out] = source < 0 ? 0 : (batch.cells[word] ?? 0);
      cells[out + 1] = source < 0 ? ABSENT_CELL : (batch.cells[word + 1] ?? ABSENT_CELL);
    }
  }
  return {
    ...batch,
    schema: onto,
    encodings: sources.map((source) => batch.encodings[source] ?? 'text'),
    cells,
  };
}
