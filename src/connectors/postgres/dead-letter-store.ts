/** Looking at dead letters and writing them again. */
import type {
  DeadLetter,
  DeadLetterStore,
  FailedTransformation,
  LetterPage,
  LetterRange,
  Retransformed,
} from '../../core/dead-letter.ts';
import { asForebayError } from '../../core/errors.ts';
import type { LetterPlan } from './dead-letters.ts';
import type { Lane } from './lane.ts';
import type { LanePool } from './lane-pool.ts';
import { letterPage } from './letter-pages.ts';
import { type Values, writeAgain } from './letter-writing.ts';
import { hasMetadata } from './metadata.ts';

const LIST_COLUMNS = `id, pipeline, stream, op, code, reason, position,
  to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
  to_char(replayed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), plan ->> 'transformation'`;

function readLetter(row: readonly (string | null)[]): Omit<DeadLetter, 'payload'> {
  return {
    id: row[0] ?? '',
    pipeline: row[1] ?? '',
    stream: row[2] ?? '',
    op: row[3] ?? '',
    code: row[4] ?? '',
    reason: row[5] ?? '',
    position: row[6] ?? '',
    at: row[7] ?? '',
    replayedAt: row[8] ?? null,
    // Written by us.
    transformation: JSON.parse(row[9] ?? 'null') as FailedTransformation | null,
  };
}

/** What is to be written in the place of a row that a transformation had rejected; null: nothing. */
function replace(
  plan: LetterPlan,
  replacement: Exclude<Retransformed, { readonly kind: 'failed' }>,
): { readonly plan: LetterPlan; readonly payload: Values } | null {
  const { table } = replacement.target;
  if (replacement.kind === 'row') return { plan: { ...plan, table }, payload: replacement.payload };
  const keyed = Object.keys(plan.match).length > 0;
  return keyed ? { plan: { ...plan, table, action: 'delete' }, payload: {} } : null;
}

/** One letter, inside a transaction. Returns why it was passed over, or null. */
async function replayLetter(
  { connection }: Lane,
  id: string,
  replacement: Exclude<Retransformed, { readonly kind: 'failed' }> | null,
): Promise<string | null> {
  const { rows } = await connection.query(
    `SELECT pipeline, stream, key, payload::text, plan::text, replayed_at IS NOT NULL,
       superseded_at IS NOT NULL OR EXISTS (
         SELECT FROM _forebay.dead_letters n WHERE n.pipeline = d.pipeline AND n.stream = d.stream
           AND n.key = d.key AND n.id > d.id AND n.replayed_at IS NOT NULL)
     FROM _forebay.dead_letters d WHERE id = $1 FOR UPDATE`,
    [id],
  );
  const row = rows[0];
  if (row === undefined) return 'no dead letter has this id';
  const [, , , payload, plan, replayed, outdated] = row;
  if (replayed === 't') return 'it was replayed before';
  if (outdated === 't') {
    await connection.query(
      'UPDATE _forebay.dead_letters SET superseded_at = now() WHERE id = $1 AND superseded_at IS NULL',
      [id],
    );
    return 'skipped: a later change of the same row was applied';
  }
  const asPlanned = {
    plan: JSON.parse(plan ?? '{}') as LetterPlan,
    payload: JSON.parse(payload ?? '{}') as Values,
  };
  const written = replacement === null ? asPlanned : replace(asPlanned.plan, replacement);
  if (written !== null) await writeAgain(connection, written.plan, written.payload);
  await connection.query(
    `WITH replayed AS (
       UPDATE _forebay.dead_letters SET replayed_at = now() WHERE id = $1 RETURNING pipeline, stream, key)
     UPDATE _forebay.dead_letters d SET superseded_at = now() FROM replayed r
     WHERE d.pipeline = r.pipeline AND d.stream = r.stream AND d.key = r.key AND d.id < $1
       AND d.replayed_at IS NULL AND d.superseded_at IS NULL`,
    [id],
  );
  return null;
}

function throughWhat({ id }: FailedTransformation): string {
  return `the transformation ${id} rejected it: replay it with the stream that has the transformation`;
}

export class PostgresDeadLetters implements DeadLetterStore {
  readonly #pool: LanePool;

  constructor(pool: LanePool) {
    this.#pool = pool;
  }

  list(pipeline: string | null): Promise<readonly Omit<DeadLetter, 'payload'>[]> {
    return this.#pool.use(async ({ connection }) => {
      if (!(await hasMetadata(connection))) return [];
      const { rows } = await connection.query(
        `SELECT ${LIST_COLUMNS} FROM _forebay.dead_letters
         WHERE $1::text IS NULL OR pipeline = $1 ORDER BY id`,
        [pipeline],
      );
      return rows.map(readLetter);
    });
  }

  page(range: LetterRange): Promise<LetterPage> {
    return this.#pool.use(({ connection }) => letterPage(connection, range));
  }

  get(id: string): Promise<DeadLetter | null> {
    return this.#pool.use(async ({ connection }) => {
      if (!(await hasMetadata(connection))) return null;
      const { rows } = await connection.query(
        `SELECT ${LIST_COLUMNS}, payload::text FROM _forebay.dead_letters WHERE id = $1`,
        [id],
      );
      const row = rows[0];
      if (row === undefined) return null;
      return { ...readLetter(row), payload: JSON.parse(row[10] ?? '{}') as DeadLetter['payload'] };
    });
  }

  async replay(
    ids: readonly string[],
    through?: (letter: DeadLetter) => Promise<Retransformed>,
  ): Promise<readonly { readonly id: string; readonly error: string | null }[]> {
    const results: { id: string; error: string | null }[] = [];
    // Ids sort in the order of rejection.
    for (const id of ids.toSorted()) {
      results.push({ id, error: await this.#replayOne(id, through) });
    }
    return results;
  }

  async #replayOne(
    id: string,
    through: ((letter: DeadLetter) => Promise<Retransformed>) | undefined,
  ): Promise<string | null> {
    try {
      const letter = await this.get(id);
      const transformation = letter?.transformation ?? null;
      if (letter === null || transformation === null)
        return await this.#pool.transaction((lane) => replayLetter(lane, id, null));
      if (letter.replayedAt !== null) return 'it was replayed before';
      if (through === undefined) return throughWhat(transformation);
      const replacement = await through(letter);
      if (replacement.kind === 'failed') return replacement.reason;
      return await this.#pool.transaction((lane) => replayLetter(lane, id, replacement));
    } catch (error) {
      const failure = asForebayError(error);
      if (failure.class === 'transient' || failure.class === 'auth') throw failure;
      return failure.why === null ? failure.message : `${failure.message}: ${failure.why}`;
    }
  }

  remove(ids: readonly string[]): Promise<number> {
    return this.#pool.use(async ({ connection }) => {
      if (!(await hasMetadata(connection))) return 0;
      const { rowCount } = await connection.query(
        `DELETE FROM _forebay.dead_letters WHERE id IN (SELECT jsonb_array_elements_text($1::jsonb))`,
        [JSON.stringify(ids)],
      );
      return rowCount;
    });
  }
}
