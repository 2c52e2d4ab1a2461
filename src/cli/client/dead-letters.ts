/** `forebay dlq` where a server has the letters: the same output as at a destination. */
import {
  deadLetterDetailSchema,
  deadLetterListSchema,
  droppedSchema,
  type LetterOutcome,
  MOST_LETTERS,
  replayedSchema,
} from '../../api/schemas/dead-letters.ts';
import { storedId } from '../../api/schemas/fields.ts';
import { ForebayError } from '../../core/errors.ts';
import type { ApiClient } from '../api-client.ts';
import { type ListedLetter, missingLetter, type Replayed } from '../letter-output.ts';
import { allPipelines, findPipeline } from './find.ts';

const PATH = '/api/v1/dead-letters';
/** Each is a transaction of the destination, and the answer is not waited for without end. */
const AT_ONCE = Math.min(100, MOST_LETTERS);

interface Indexed {
  readonly id: string;
  readonly pipeline_id: string;
  readonly stream: string;
  readonly code: string;
  readonly reason: string;
  readonly created_at: string;
  readonly resolved_at: string | null;
}

function letterOf(row: Indexed, pipeline: string): ListedLetter {
  const { id, stream, code, reason, created_at, resolved_at } = row;
  const known = { id, pipeline, stream, code, reason, at: created_at, replayedAt: resolved_at };
  return { ...known, op: null, position: null, transformation: null };
}

async function namesOf(api: ApiClient): Promise<ReadonlyMap<string, string>> {
  return new Map((await allPipelines(api)).map(({ id, name }) => [id, name]));
}

/** In the order in which they came. */
async function indexed(
  api: ApiClient,
  of: { readonly pipeline: string | null; readonly open: boolean },
): Promise<readonly Indexed[]> {
  const pipeline_id = of.pipeline === null ? undefined : (await findPipeline(api, of.pipeline)).id;
  const query = { pipeline_id, resolved: of.open ? 'false' : undefined };
  const rows = await api.list(
    deadLetterListSchema,
    { path: PATH, query },
    (page) => page.dead_letters,
  );
  return rows.toReversed();
}

export async function serverLetters(
  api: ApiClient,
  pipeline: string | null,
): Promise<readonly ListedLetter[]> {
  const names = await namesOf(api);
  const rows = await indexed(api, { pipeline, open: false });
  return rows.map((row) => letterOf(row, names.get(row.pipeline_id) ?? row.pipeline_id));
}

async function detailOf(api: ApiClient, text: string) {
  const id = storedId(text);
  if (id === null) throw missingLetter(text);
  try {
    return await api.get(deadLetterDetailSchema, `${PATH}/${id}`);
  } catch (error) {
    if (error instanceof ForebayError && error.code === 'not_found') throw missingLetter(text);
    throw error;
  }
}

export async function serverLetter(api: ApiClient, text: string) {
  const detail = await detailOf(api, text);
  const names = await namesOf(api);
  const { op, position, payload, payload_state, payload_error } = detail;
  return {
    ...letterOf(detail, names.get(detail.pipeline_id) ?? detail.pipeline_id),
    op,
    position,
    payload,
    payloadState: payload_state,
    payloadError: payload_error,
  };
}

export interface LetterChoice {
  readonly ids: readonly string[];
  /** Instead of ids. */
  readonly all: boolean;
  readonly pipeline: string | null;
}

/** Ids by pipeline, in the order in which they came or were named. */
async function chosen(
  api: ApiClient,
  { ids, all, pipeline }: LetterChoice,
  open: boolean,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const rows: Pick<Indexed, 'id' | 'pipeline_id'>[] = [];
  if (all) rows.push(...(await indexed(api, { pipeline, open })));
  else for (const id of ids) rows.push(await detailOf(api, id));
  const groups = Map.groupBy(rows, (row) => row.pipeline_id);
  return new Map([...groups].map(([of, letters]) => [of, letters.map(({ id }) => id)]));
}

const REFUSAL: Readonly<Record<Exclude<LetterOutcome, 'replayed'>, string>> = {
  failed: 'it was refused again',
  superseded: 'skipped: a later change of the same row was applied, or it was resolved before',
};

export async function replayAtServer(
  api: ApiClient,
  choice: LetterChoice,
): Promise<readonly Replayed[]> {
  const results: Replayed[] = [];
  for (const [pipeline_id, all] of await chosen(api, choice, true)) {
    for (let first = 0; first < all.length; first += AT_ONCE) {
      const ids = all.slice(first, first + AT_ONCE);
      const path = `${PATH}/replay`;
      const { letters } = await api.post(replayedSchema, path, { pipeline_id, ids });
      for (const { id, outcome } of letters ?? []) {
        results.push({ id, error: outcome === 'replayed' ? null : REFUSAL[outcome] });
      }
    }
  }
  return results;
}

/** Asks with the number of letters first, where there are any. */
export async function dropAtServer(
  api: ApiClient,
  choice: LetterChoice,
  confirmed: (letters: number) => Promise<void>,
): Promise<number> {
  const groups = await chosen(api, choice, true);
  const count = [...groups.values()].reduce((sum, ids) => sum + ids.length, 0);
  if (count === 0) return 0;
  await confirmed(count);
  let removed = 0;
  for (const [pipeline_id, all] of groups) {
    for (let first = 0; first < all.length; first += AT_ONCE) {
      const ids = all.slice(first, first + AT_ONCE);
      removed += (await api.post(droppedSchema, `${PATH}/drop`, { pipeline_id, ids })).dropped;
    }
  }
  return removed;
}
