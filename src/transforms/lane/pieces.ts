/** Rows through the transformation in pieces, so that memory stays flat whatever the number of rows. */
import type { RejectedRow } from '../../core/dead-letter.ts';
import { OP_LETTERS } from '../../core/row-batch.ts';
import { cellText } from './cell-json.ts';
import type { Growth } from './growth.ts';
import type { LaneStream } from './lane-stream.ts';
import type { LaneOptions } from './options.ts';
import { keyPayload, render, type LaneCell, type SourceRow } from './render.ts';
import { type RowDocument, rowIsUtf8 } from './row-document.ts';
import { type Failure, isRejected, settle, type Settled } from './settle.ts';

const PIECE_ROWS = 1000;
const PIECE_CHARACTERS = 1024 * 1024;

/** A row that is to be transformed, or that is passed by in its place. */
export interface LaneRow extends SourceRow {
  readonly action: number;
  readonly op: number;
  readonly passes: boolean;
}

export type Result =
  | { readonly kind: 'passed' }
  | { readonly kind: 'cells'; readonly cells: LaneCell[] }
  | { readonly kind: 'filtered' }
  | { readonly kind: 'failed'; readonly failure: Failure }
  /** The table lacks something for it: see the growth. */
  | { readonly kind: 'grows' };

interface Entry {
  readonly row: LaneRow;
  readonly document: RowDocument | null;
  readonly settled: Settled | null;
}

/** A piece whose documents have come back, to be made cells of as often as the table grows. */
export class Piece {
  readonly #entries: readonly Entry[];
  readonly #stream: LaneStream;
  readonly #options: LaneOptions;

  constructor(entries: readonly Entry[], stream: LaneStream, options: LaneOptions) {
    this.#entries = entries;
    this.#stream = stream;
    this.#options = options;
  }

  get rows(): readonly LaneRow[] {
    return this.#entries.map(({ row }) => row);
  }

  /** In order. */
  results(growth: Growth): readonly Result[] {
    return this.#entries.map((entry) => this.#result(entry, growth));
  }

  #result({ row, document, settled }: Entry, growth: Growth): Result {
    if (row.passes) return { kind: 'passed' };
    const fail = (code: string, message: string, attempts: number): Result => ({
      kind: 'failed',
      failure: { code, message, attempts },
    });
    if (document === null || settled === null)
      return fail('value_rejected', 'the row holds text that is not UTF-8', 0);
    if (settled.kind === 'filtered') return { kind: 'filtered' };
    if (settled.kind === 'failed') return fail(settled.code, settled.message, settled.attempts);
    const { schemaChanges, flatten } = this.#options;
    const rendered = render(
      this.#stream.binding,
      { source: row, before: document, json: settled.json },
      {
        growth: schemaChanges === 'ignore' ? null : growth,
        leftOut: (path) => this.#stream.leaveOut(path),
        flatten: flatten !== null,
      },
    );
    return rendered.kind === 'failed'
      ? fail(rendered.code, rendered.message, settled.attempts)
      : rendered;
  }
}

async function settlePiece(
  rows: readonly { readonly row: LaneRow; readonly document: RowDocument | null }[],
  stream: LaneStream,
  options: LaneOptions,
): Promise<Piece> {
  const documents = rows.flatMap(({ document }) => (document === null ? [] : [document.json]));
  const settled = await settle(options, documents);
  let next = 0;
  const entries = rows.map(({ row, document }) => ({
    row,
    document,
    settled: document === null ? null : (settled[next++] ?? null),
  }));
  return new Piece(entries, stream, options);
}

export async function* pieces(
  rows: Iterable<LaneRow>,
  stream: LaneStream,
  options: LaneOptions,
): AsyncGenerator<Piece, void> {
  let gathered: { row: LaneRow; document: RowDocument | null }[] = [];
  let characters = 0;
  for (const row of rows) {
    const document = row.passes ? null : stream.binding.documents.of(row.batch, row.row);
    gathered.push({ row, document });
    characters += document?.json.length ?? 0;
    if (gathered.length < PIECE_ROWS && characters < PIECE_CHARACTERS) continue;
    yield await settlePiece(gathered, stream, options);
    gathered = [];
    characters = 0;
  }
  if (gathered.length > 0) yield await settlePiece(gathered, stream, options);
}

/** U+0000, which not every database can hold, is shown in the digits of the whole text. */
function payloadOf({ batch, row }: SourceRow): Pick<RejectedRow, 'payload' | 'altered'> {
  const payload: Record<string, string | null> = {};
  let altered = batch.schema.rawText === true && !rowIsUtf8(batch, row);
  for (const [column, { name }] of batch.schema.columns.entries()) {
    const text = cellText(batch, row, column);
    if (text === undefined) continue;
    const shown = text?.includes('\u0000') === true;
    altered ||= shown;
    payload[name] = shown ? `\\x${Buffer.from(text).toString('hex')}` : text;
  }
  return { payload, altered };
}

/** The letter of a row that failed; null where such rows are passed over. Fails where they stop the stream. */
export function rejection(
  stream: LaneStream,
  options: LaneOptions,
  failed: { readonly row: LaneRow; readonly failure: Failure },
  place: Pick<RejectedRow, 'position' | 'committedAtMicros'>,
): RejectedRow | null {
  const { row, failure } = failed;
  if (!isRejected(options.onError, failure, stream.target.id)) return null;
  return {
    ...place,
    op: OP_LETTERS[row.op] ?? 'r',
    code: failure.code,
    reason: failure.message,
    ...payloadOf(row),
    key: keyPayload(stream.binding, row),
    transformation: { id: options.id, attempts: failure.attempts },
  };
}
