/**
 * Reads a part of the streams again, in ranges of days or of keys. A range that fails stops no other one; what failed
 * or was not begun can be tried again alone.
 */
import { asForebayError, type ErrorCode, ERROR_TABLE, ForebayError } from '../../core/errors.ts';
import type { Flow, FlowContext } from '../flow.ts';
import type { ExecutionRef, FlowActivities } from './activities.ts';
import {
  type BackfillOutput,
  MOST_MESSAGE,
  outputOf,
  type RangeFailure,
} from './backfill-outcome.ts';
import { type BackfillSpan, rangeAt, rangeCount } from './backfill-ranges.ts';
import { endFailed, retried, summaryOf } from './execution-steps.ts';
import { indexesIn, readIndexes, type Span, spansOf, writeIndexes } from './index-set.ts';

export type BackfillInput = ExecutionRef & {
  readonly span: BackfillSpan;
  /** Numbers of the ranges that are read; null: all. */
  readonly only: string | null;
  /** Ranges at once. */
  readonly parallel: number;
  /** With so many rows read no other range is begun; null: all are. */
  readonly maxRows: number | null;
  /** Of the runs before this one: a history must not grow without end. */
  readonly before?: BackfillProgress;
};

export type BackfillProgress = {
  /** How many of the ranges were looked at. */
  readonly seen: number;
  readonly done: string;
  readonly failures: readonly {
    readonly code: string;
    readonly message: string;
    readonly indexes: string;
  }[];
  readonly rows: number;
};

/** Each is a step with its retries. */
export const RANGES_PER_RUN = 500;
/** Causes that are kept word for word. */
const MOST_CAUSES = 24;
const UNTOLD = 'the log of the execution tells why';

type Ctx = FlowContext<FlowActivities>;

class Backfill {
  readonly #ctx: Ctx;
  readonly #input: BackfillInput;
  readonly #ref: ExecutionRef;
  readonly #selected: readonly Span[];
  readonly #indexes: readonly number[];
  readonly #done: Set<number>;
  readonly #failures: RangeFailure[];
  #rows: number;
  #seen: number;
  #cancelled = false;

  constructor(ctx: Ctx, input: BackfillInput) {
    const { organizationId, pipelineId, executionId, span, only, before } = input;
    this.#ctx = ctx;
    this.#input = input;
    this.#ref = { organizationId, pipelineId, executionId };
    const count = rangeCount(span);
    const all: readonly Span[] = count === 0 ? [] : [[0, count - 1]];
    this.#selected = only === null ? all : (readIndexes(only) ?? all);
    this.#indexes = indexesIn(this.#selected);
    this.#done = new Set(indexesIn(readIndexes(before?.done ?? '') ?? []));
    this.#failures = (before?.failures ?? []).flatMap(({ code, message, indexes }) =>
      indexesIn(readIndexes(indexes) ?? []).map((index) => ({ index, code, message })),
    );
    this.#rows = before?.rows ?? 0;
    this.#seen = before?.seen ?? 0;
  }

  get ref(): ExecutionRef {
    return this.#ref;
  }

  progress(): { readonly done: number; readonly total: number; readonly rows: number } {
    return { done: this.#done.size, total: this.#indexes.length, rows: this.#rows };
  }

  output(): BackfillOutput {
    const stoppedBy = this.#cancelled ? 'cancel' : this.#isFull() ? 'max_rows' : null;
    const unread = this.#done.size + this.#failures.length < this.#indexes.length;
    return outputOf(this.#input.span, {
      selected: this.#selected,
      done: this.#done,
      failures: this.#failures,
      rows: this.#rows,
      stoppedBy: unread ? stoppedBy : null,
    });
  }

  cancelled(): void {
    this.#cancelled = true;
  }

  async run(): Promise<BackfillOutput> {
    const { parallel, before } = this.#input;
    const ref = this.#ref;
    const begin = { ref, retry: null, layer: null } as const;
    const { layers, retry } = await retried(this.#ctx, begin, 'beginExecution', ref);
    const bronze = { ref, retry, layer: 'bronze' } as const;
    if (before === undefined)
      await retried(this.#ctx, bronze, 'checkBackfill', {
        ...ref,
        range: rangeAt(this.#input.span, this.#indexes[0] ?? 0),
      });
    while (this.#seen < this.#indexes.length && !this.#isFull()) {
      const some = this.#indexes.slice(this.#seen, this.#seen + RANGES_PER_RUN);
      await this.#ctx.all(some, parallel, (index) => this.#range(index, bronze));
      this.#seen += some.length;
      // What came after it is none of a failure's.
      if (this.#cancelled) throw new ForebayError('flow_cancelled', { message: 'cancelled' });
      if (this.#seen < this.#indexes.length && !this.#isFull())
        return await this.#ctx.continueAsNew(this.#nextInput());
    }
    for (const layer of ['silver', 'gold'] as const)
      if (this.#done.size > 0 && layers.includes(layer))
        await retried(this.#ctx, { ref, retry, layer }, layer, ref);
    return this.output();
  }

  /** Whether another one is begun is decided by what the flow has seen by then, so a replay decides the same. */
  async #range(index: number, place: Parameters<typeof retried>[1]): Promise<void> {
    if (this.#cancelled || this.#isFull()) return;
    const range = rangeAt(this.#input.span, index);
    const input = { ...this.#ref, range, part: index };
    try {
      const { rows } = await retried(this.#ctx, place, 'backfillRange', input);
      this.#rows += rows;
      this.#done.add(index);
    } catch (error) {
      const failure = asForebayError(error);
      if (failure.code === 'flow_cancelled') this.#cancelled = true;
      else this.#failed(index, failure);
    }
  }

  #failed(index: number, failure: ForebayError): void {
    const { code, message: whole } = summaryOf(failure);
    const message = whole.slice(0, MOST_MESSAGE);
    const known = new Set(this.#failures.map((earlier) => `${earlier.code} ${earlier.message}`));
    const isKept = known.size < MOST_CAUSES || known.has(`${code} ${message}`);
    this.#failures.push({ index, code, message: isKept ? message : UNTOLD });
  }

  #isFull(): boolean {
    const { maxRows } = this.#input;
    return maxRows !== null && this.#rows >= maxRows;
  }

  #nextInput(): BackfillInput {
    const before = {
      seen: this.#seen,
      done: writeIndexes(spansOf(this.#done)),
      failures: [
        ...Map.groupBy(this.#failures, ({ code, message }) => JSON.stringify([code, message])),
      ].flatMap(([, [first, ...others]]) =>
        first === undefined
          ? []
          : [
              {
                code: first.code,
                message: first.message,
                indexes: writeIndexes(spansOf([first, ...others].map(({ index }) => index))),
              },
            ],
      ),
      rows: this.#rows,
    };
    return { ...this.#input, before };
  }
}

/** Told by the first one; each is in the output. */
function rangesFailed({ ranges, failed }: BackfillOutput): ForebayError {
  const [first] = failed;
  const code = first !== undefined && first.code in ERROR_TABLE ? (first.code as ErrorCode) : null;
  return new ForebayError(code ?? 'internal', {
    message: `${ranges.failed} of ${ranges.total} ranges failed, the first one: ${first?.message ?? ''}`,
    fix: 'See `output` for each of them; mend the cause, and run what is left with `retry_of`.',
  });
}

export const BackfillWorkflow: Flow<FlowActivities, BackfillInput, BackfillOutput> = async (
  ctx,
  input,
) => {
  const backfill = new Backfill(ctx, input);
  const { ref } = backfill;
  ctx.query('progress', () => backfill.progress());
  try {
    const output = await backfill.run();
    const [failure] = output.failed;
    await retried(ctx, { ref, retry: null, layer: null }, 'endExecution', {
      ...ref,
      status: failure === undefined ? 'completed' : 'failed',
      layer: failure === undefined ? null : 'bronze',
      error: failure === undefined ? null : summaryOf(rangesFailed(output)),
      output,
    });
    return output;
  } catch (error) {
    const failure = asForebayError(error);
    if (failure.code === 'flow_cancelled') backfill.cancelled();
    await endFailed(ctx, { ref, layer: null, output: backfill.output() }, error);
    throw failure;
  }
};
