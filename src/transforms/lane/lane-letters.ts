/** Dead letters of transformed rows, which go through the transformation again when they are replayed. */
import type { Destination } from '../../core/connector.ts';
import type {
  DeadLetter,
  DeadLetterStore,
  LetterPage,
  LetterPayload,
  LetterRange,
  Retransformed,
} from '../../core/dead-letter.ts';
import { OP_READ, type RowBatch, RowBatchBuilder } from '../../core/row-batch.ts';
import type { StreamSchema } from '../../core/stream-schema.ts';
import { NULL_CELL } from '../../core/value.ts';
import { cellText } from './cell-json.ts';
import { Growth } from './growth.ts';
import { laneTarget, type LaneShape } from './lane-shape.ts';
import { shapeOf } from './lane-state.ts';
import type { LaneOptions } from './options.ts';
import { bind, type Binding, keyPayload, render } from './render.ts';
import { runDocuments } from './settle.ts';

/** The row of a letter; columns that the source has no longer are left out. */
function rowOf(schema: StreamSchema, payload: LetterPayload): RowBatch {
  const texts = schema.columns.map(({ name }) => payload[name]);
  const slab = Buffer.from(texts.map((text) => text ?? '').join(''), 'utf8');
  const encodings = schema.columns.map(() => 'text' as const);
  const builder = new RowBatchBuilder(schema, encodings, slab);
  const base = builder.beginRow(OP_READ, 0, 0);
  let at = 0;
  for (const [column, text] of texts.entries()) {
    if (text === undefined) continue;
    const length = text === null ? NULL_CELL : Buffer.byteLength(text);
    builder.cells[base + column * 2] = at;
    builder.cells[base + column * 2 + 1] = length;
    at += Math.max(length, 0);
  }
  return builder.finish();
}

const failed = (reason: string): Retransformed => ({ kind: 'failed', reason });

export class LaneLetters implements DeadLetterStore {
  readonly #inner: Destination;
  readonly #options: LaneOptions;

  constructor(inner: Destination, options: LaneOptions) {
    this.#inner = inner;
    this.#options = options;
  }

  list(pipeline: string | null): ReturnType<DeadLetterStore['list']> {
    return this.#inner.deadLetters.list(pipeline);
  }

  page(range: LetterRange): Promise<LetterPage> {
    return this.#inner.deadLetters.page(range);
  }

  get(id: string): Promise<DeadLetter | null> {
    return this.#inner.deadLetters.get(id);
  }

  remove(ids: readonly string[]): Promise<number> {
    return this.#inner.deadLetters.remove(ids);
  }

  replay(ids: readonly string[]): ReturnType<DeadLetterStore['replay']> {
    return this.#inner.deadLetters.replay(ids, (letter) => this.#through(letter));
  }

  async #through(letter: DeadLetter): Promise<Retransformed> {
    const shape = await this.#shape(letter);
    if (shape === null) return failed('its stream is no longer there, or no longer transformed');
    const binding = bind(shape);
    const batch = rowOf(shape.source.schema, letter.payload);
    const source = { batch, row: 0 };
    const before = binding.documents.of(batch, 0);
    if (before === null) return failed('it holds text that is not UTF-8');
    const [outcome] = await runDocuments(this.#options, [before.json]);
    const target = laneTarget(shape);
    switch (outcome?.kind) {
      case undefined:
        return failed('the transformation gave no outcome');
      case 'filtered':
        return { kind: 'filtered', target, key: keyPayload(binding, source) };
      case 'failed':
        return failed(`${outcome.code}: ${outcome.message}`);
      case 'document':
        return this.#row(binding, { source, before, json: outcome.json });
    }
  }

  #row(binding: Binding, row: Parameters<typeof render>[1]): Retransformed {
    const { flatten, schemaChanges } = this.#options;
    const growth = new Growth();
    const rendered = render(binding, row, {
      growth: schemaChanges === 'ignore' ? null : growth,
      leftOut: () => {},
      flatten: flatten !== null,
    });
    if (rendered.kind === 'failed') return failed(`${rendered.code}: ${rendered.message}`);
    if (rendered.kind === 'grows') {
      const { changes } = growth.apply(binding.shape, flatten ?? '');
      return failed(`the table lacks something for it: ${changes.join('; ')}`);
    }
    const entries = rendered.cells.map((cell, index) => {
      const { batch, row: at } = row.source;
      const text = typeof cell === 'number' ? cellText(batch, at, cell) : cell;
      return [binding.shape.columns[index]?.name ?? '', text ?? null] as const;
    });
    const payload = Object.fromEntries(entries);
    return { kind: 'row', target: laneTarget(binding.shape), payload };
  }

  async #shape({ pipeline, stream }: DeadLetter): Promise<LaneShape | null> {
    const state = await this.#inner.readState(pipeline);
    const record = state?.streams.find((candidate) => candidate.stream === stream);
    return record === undefined ? null : shapeOf(record);
  }
}
