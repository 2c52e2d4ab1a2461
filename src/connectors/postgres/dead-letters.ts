/** Rows that the destination refused, written in the transaction that goes on without them. */
import { randomBytes } from 'node:crypto';
import type { StreamTarget } from '../../core/connector.ts';
import type { FailedTransformation, RejectedRow } from '../../core/dead-letter.ts';
import type { ForebayError } from '../../core/errors.ts';
import { ACT_APPEND, ACT_DELETE, ACT_PATCH } from '../../core/folded-rows.ts';
import { OP_LETTERS, type RowBatch } from '../../core/row-batch.ts';
import type { StreamId, StreamName } from '../../core/stream-schema.ts';
import { batchOf, type NumberedRows } from './apply-rows.ts';
import type { HeldLetters } from './held-letters.ts';
import { cellText, type Printed } from './cell-text.ts';
import type { PgConnection } from './connection.ts';

/** Unlike the server's message, which a trigger may fill with values, it holds none of the row. */
export interface Refusal {
  /** SQLSTATE */
  readonly state: string;
  /** A constraint or column by its name. */
  readonly by: string | null;
}

/** How a letter is written again; stands as JSON beside its payload. */
export interface LetterPlan {
  readonly table: StreamName;
  readonly action: 'delete' | 'put' | 'patch' | 'add' | 'remove-one';
  /** Key columns and their values that find the row; empty for rows without a key. */
  readonly match: Readonly<Record<string, string | null>>;
  /** Columns of our own that go with the payload. */
  readonly extra: Readonly<Record<string, string | null>>;
  readonly soft: boolean;
  /** The payload shows a value in another form, so it cannot be written again. */
  readonly altered?: boolean;
  /** The payload is a row of the source, to be transformed before it is written. */
  readonly transformation?: FailedTransformation;
  /** What refused it, in words of the catalog; absent where another release wrote the letter. */
  readonly refusal?: Refusal;
}

/** Keys of rows with letters not yet replayed, per stream: a later change of such a row outdates its letter. */
export type OpenLetters = Map<StreamId, Set<string>>;

let lastMillis = 0;
let counter = 0;

/** UUID version 7 (RFC 9562) that sorts in the order of making within a process. */
export function sortableId(now: number = Date.now()): string {
  counter = now > lastMillis ? 0 : counter + 1;
  if (counter > 0xfff) {
    lastMillis += 1;
    counter = 0;
  }
  lastMillis = Math.max(now, lastMillis);
  const random = randomBytes(8).toString('hex');
  const millis = lastMillis.toString(16).padStart(12, '0');
  const sequence = counter.toString(16).padStart(3, '0');
  const variant = '89ab'[Number.parseInt(random[0] ?? '0', 16) & 3] ?? '8';
  return `${millis.slice(0, 8)}-${millis.slice(8)}-7${sequence}-${variant}${random.slice(1, 4)}-${random.slice(4, 16)}`;
}

function rowPayload(batch: RowBatch, row: number, printed: Printed): Record<string, string | null> {
  const payload: Record<string, string | null> = {};
  for (const [column, { name }] of batch.schema.columns.entries()) {
    const text = cellText(batch, row, column, printed);
    if (text !== undefined) payload[name] = text;
  }
  return payload;
}

export function keyValues(batch: RowBatch, row: number): Record<string, string | null> {
  const values: Record<string, string | null> = {};
  for (const column of batch.schema.key) {
    const name = batch.schema.columns[column]?.name ?? '';
    values[name] = cellText(batch, row, column) ?? null;
  }
  return values;
}

/** One text per key; null for streams without. */
export function keyText(match: Readonly<Record<string, string | null>>): string | null {
  const values = Object.values(match);
  return values.length === 0 ? null : JSON.stringify(values);
}

function planOf(target: StreamTarget, batch: RowBatch, row: number, action: number): LetterPlan {
  const keyed = target.schema.identity === 'key' && action !== ACT_APPEND;
  const common = {
    table: target.table,
    match: keyed ? keyValues(batch, row) : {},
    extra: {},
    soft: target.deletes === 'soft' && target.load !== 'append',
  };
  if (action === ACT_DELETE) return { ...common, action: keyed ? 'delete' : 'remove-one' };
  if (!keyed) return { ...common, action: 'add' };
  return { ...common, action: action === ACT_PATCH ? 'patch' : 'put' };
}

/** The plan of a row that did not get as far as the table. */
function planRejected(target: StreamTarget, row: RejectedRow): LetterPlan {
  const history = target.load === 'append';
  const keyed = !history && Object.keys(row.key).length > 0;
  return {
    table: target.table,
    action: keyed ? 'put' : 'add',
    match: history ? {} : row.key,
    extra: history
      ? {
          _forebay_op: row.op,
          _forebay_position: row.position,
          _forebay_committed_at: timestampText(row.committedAtMicros),
        }
      : {},
    soft: target.deletes === 'soft' && !history,
    altered: row.altered,
    transformation: row.transformation,
  };
}

export function timestampText(micros: bigint | null): string | null {
  if (micros === null) return null;
  const millis = new Date(Number(micros / 1000n)).toISOString().slice(0, -1);
  return `${millis}${String(micros % 1000n).padStart(3, '0')}+00`;
}

function codeOf(error: ForebayError): string {
  return error.systemCode?.startsWith('23') === true ? 'constraint_violated' : 'value_rejected';
}

function refusalOf({ systemCode, refusedBy }: ForebayError): Pick<LetterPlan, 'refusal'> {
  return systemCode === null ? {} : { refusal: { state: systemCode, by: refusedBy } };
}

export interface LetterContext {
  readonly connection: PgConnection;
  readonly pipeline: string;
  readonly target: StreamTarget;
  readonly open: OpenLetters;
  /** For rows that may be let in before the commit; null where nothing comes after them. */
  readonly held: HeldLetters | null;
  /** Where the rows come from, if that is known before the commit. */
  readonly position: string | null;
}

export class DeadLetterWriter {
  readonly #context: LetterContext;
  readonly #rejected = new Map<RowBatch, Set<number>>();
  /** Ids of letters whose position is told at the commit. */
  readonly unplaced: string[] = [];

  constructor(context: LetterContext) {
    this.#context = context;
  }

  isRejected(batch: RowBatch, row: number): boolean {
    return this.#rejected.get(batch)?.has(row) ?? false;
  }

  get holdsSome(): boolean {
    const { held, target } = this.#context;
    return held?.hasSome(target.id) === true;
  }

  /** Why a row waits for the end of the transaction, behind an earlier change of it; undefined if it does not. */
  heldBack(batch: RowBatch, row: number): ForebayError | undefined {
    const { held, target } = this.#context;
    return held?.errorOf(target.id, keyText(keyValues(batch, row)) ?? '');
  }

  async write(rows: NumberedRows, number: number, error: ForebayError): Promise<void> {
    const batch = batchOf(rows, number);
    const row = rows.row[number] ?? 0;
    const plan = planOf(this.#context.target, batch, row, rows.action[number] ?? 0);
    await this.put({ batch, row, plan, position: this.#context.position }, error);
  }

  /** Rows that were rejected before they came here. */
  async takeOver(rows: readonly RejectedRow[]): Promise<void> {
    if (rows.length === 0) return;
    const { connection, pipeline, target } = this.#context;
    const letters = rows.map((row) => {
      const plan = planRejected(target, row);
      const position = row.position ?? this.#context.position;
      const id = sortableId();
      if (position === null) this.unplaced.push(id);
      return {
        id,
        op: row.op,
        code: row.code,
        reason: row.reason,
        position: position ?? '',
        payload: row.payload,
        plan,
        key: keyText(plan.match),
      };
    });
    await connection.query(
      `INSERT INTO _forebay.dead_letters
         (id, pipeline, stream, op, code, reason, position, payload, plan, key)
       SELECT l.id, $1, $2, l.op, l.code, l.reason, l.position, l.payload, l.plan, l.key
       FROM jsonb_to_recordset($3::jsonb) AS l(id text, op text, code text, reason text, position text,
         payload jsonb, plan jsonb, key text)`,
      [pipeline, target.id, JSON.stringify(letters)],
    );
    for (const { key } of letters) this.#opened(key);
  }

  async put(
    letter: {
      readonly batch: RowBatch;
      readonly row: number;
      readonly plan: LetterPlan;
      readonly position: string | null;
    },
    error: ForebayError,
  ): Promise<void> {
    const { batch, row, plan, position } = letter;
    const { connection, pipeline, target, held } = this.#context;
    const id = sortableId();
    const printed = { altered: false };
    const payload = rowPayload(batch, row, printed);
    const key = keyText(plan.match);
    await connection.query(
      `INSERT INTO _forebay.dead_letters
         (id, pipeline, stream, op, code, reason, position, payload, plan, key)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb, $9::jsonb, $10)`,
      [
        id,
        pipeline,
        target.id,
        OP_LETTERS[batch.ops[row] ?? 0] ?? 'r',
        codeOf(error),
        error.why ?? error.message,
        position ?? '',
        JSON.stringify(payload),
        JSON.stringify({ ...plan, ...printed, ...refusalOf(error) } satisfies LetterPlan),
        key,
      ],
    );
    if (position === null) this.unplaced.push(id);
    const rejected = this.#rejected.get(batch) ?? new Set<number>();
    this.#rejected.set(batch, rejected.add(row));
    this.#opened(key);
    if (key !== null) held?.add(target.id, { id, key }, error);
  }

  #opened(key: string | null): void {
    if (key === null) return;
    const { open, target } = this.#context;
    const keys = open.get(target.id) ?? new Set<string>();
    open.set(target.id, keys.add(key));
  }
}

/** Letters of these rows are no longer the last word on them. */
export async function outdateLetters(
  context: Pick<LetterContext, 'connection' | 'pipeline' | 'target'>,
  keys: readonly string[] | null,
): Promise<void> {
  await context.connection.query(
    `UPDATE _forebay.dead_letters SET superseded_at = now()
     WHERE pipeline = $1 AND stream = $2 AND replayed_at IS NULL AND superseded_at IS NULL
       AND ($3::jsonb IS NULL OR key IN (SELECT jsonb_array_elements_text($3::jsonb)))`,
    [context.pipeline, context.target.id, keys === null ? null : JSON.stringify(keys)],
  );
}

export async function readOpenLetters(
  connection: PgConnection,
  pipeline: string,
): Promise<OpenLetters> {
  const { rows } = await connection.query(
    `SELECT stream, key FROM _forebay.dead_letters
     WHERE pipeline = $1 AND replayed_at IS NULL AND superseded_at IS NULL AND key IS NOT NULL`,
    [pipeline],
  );
  const open: OpenLetters = new Map();
  for (const [stream, key] of rows) {
    if (stream == null || key == null) continue;
    const keys = open.get(stream) ?? new Set<string>();
    open.set(stream, keys.add(key));
  }
  return open;
}
