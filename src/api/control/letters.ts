/** Dead letters of a pipeline, where they are: at its destination. */
import type { DeadLetter, DeadLetterStore } from '../../core/dead-letter.ts';
import { ForebayError } from '../../core/errors.ts';
import { countOpenLetters } from '../../metadata/dead-letters.ts';
import { lastStarted } from '../../metadata/executions.ts';
import type { OrganizationScope } from '../../metadata/scope.ts';
import type { DeadLettersTable, PipelinesTable } from '../../metadata/tables.ts';
import {
  type ActivityDeps,
  loadPipeline,
  withSystem,
} from '../../orchestration/activities/deps.ts';
import {
  bringUp,
  keepsLetters,
  type LetterWork,
  lettersOf,
  settleLetters,
  withLetters,
} from '../../orchestration/activities/letter-index.ts';
import type { DroppedLetters, LetterOutcome, ReplayedLetters } from '../schemas/dead-letters.ts';
import type { LetterChoice } from '../services.ts';

const PAGE = 500;
/** How long an execution is waited for that has a DuckDB file to itself. */
const TURN_MS = 5000;

async function placeOf(
  deps: ActivityDeps,
  scope: OrganizationScope,
  pipelineId: string,
): Promise<Omit<LetterWork, 'signal'>> {
  const ref = { organizationId: scope.organizationId, pipelineId };
  const { destination, pipeline } = await loadPipeline(deps, ref);
  if (!keepsLetters(destination)) {
    throw new ForebayError('capability_missing', {
      message: `${destination.entry.title}, where pipeline ${pipeline.name} writes, keeps no dead letters`,
    });
  }
  // What nobody knows yet is of the one that runs or ran last.
  const last = await lastStarted(deps.metadata.db, scope, { pipelineId, except: null });
  return { scope, pipelineId, destination, executionId: last?.id ?? null, layer: null };
}

/** Null: it is there no longer. */
export async function readLetter(
  deps: ActivityDeps,
  scope: OrganizationScope,
  letter: Pick<DeadLettersTable, 'pipeline_id' | 'letter_id'>,
  signal: AbortSignal,
): Promise<DeadLetter | null> {
  const { destination } = await placeOf(deps, scope, letter.pipeline_id);
  const ids = [letter.letter_id];
  const own = { pipelines: lettersOf(letter.pipeline_id), stream: null, openOnly: false };
  return await withLetters(destination, signal, async (store) => {
    // The id alone could be another pipeline's where the destination was changed.
    const { letters } = await store.page({ ...own, ids, after: null, limit: 1 });
    return letters.length === 0 ? null : await store.get(letter.letter_id);
  });
}

/** Alone on a file; the index is brought up to what was done, whether or not all of it was. */
async function change<T>(
  deps: ActivityDeps,
  work: LetterWork,
  { letters }: LetterChoice,
  act: (store: DeadLetterStore) => Promise<T>,
): Promise<T> {
  const { destination, signal, scope, pipelineId } = work;
  const update = async (store: DeadLetterStore): Promise<void> => {
    if (letters === null) await bringUp(deps, work, store);
    else
      await settleLetters(
        deps,
        work,
        store,
        letters.map(({ letter_id }) => letter_id),
      );
  };
  const patience = AbortSignal.timeout(TURN_MS);
  const turn = AbortSignal.any([signal, patience]);
  let begun = false;
  const changing = async (store: DeadLetterStore): Promise<T> => {
    let result: T;
    try {
      result = await act(store);
    } catch (error) {
      // The next one who looks finds what is left out.
      await update(store).catch(() => {});
      throw error;
    }
    await update(store);
    return result;
  };
  try {
    const { organizationId } = scope;
    const who = { organizationId, label: `a change of the dead letters of pipeline ${pipelineId}` };
    return await withSystem(deps, destination, { signal: turn, who }, () => {
      begun = true;
      return withLetters(destination, signal, changing);
    });
  } catch (error) {
    if (begun || signal.aborted || !patience.aborted) throw error;
    throw new ForebayError('file_locked', {
      message: 'An execution has the DuckDB file to itself',
      fix: 'Pause or stop what writes to the file, or wait for its end; then ask again.',
    });
  }
}

/** Every letter of the choice, as the outcome says; open ones only, in the order in which they came. */
async function replayIn(
  store: DeadLetterStore,
  pipelineId: string,
  { stream, letters, signal }: LetterChoice,
  told: (letterId: string, outcome: LetterOutcome) => void,
): Promise<void> {
  const own = { pipelines: lettersOf(pipelineId), stream, openOnly: true };
  const chosen = letters?.map(({ letter_id }) => letter_id) ?? null;
  const seen = new Set<string>();
  for (let after: string | null = null; ;) {
    signal.throwIfAborted();
    const { letters: page, next } = await store.page({ ...own, ids: chosen, after, limit: PAGE });
    const ids = page.map(({ id }) => id);
    const results = ids.length === 0 ? [] : await store.replay(ids);
    const left = await store.page({ ...own, ids, after: null, limit: PAGE });
    const open = new Set(left.letters.map(({ id }) => id));
    for (const { id, error } of results) {
      if (chosen !== null) seen.add(id);
      if (error === null) told(id, 'replayed');
      else told(id, open.has(id) ? 'failed' : 'superseded');
    }
    if (next === null) break;
    after = next;
  }
  // Those that were resolved before.
  for (const id of chosen ?? []) if (!seen.has(id)) told(id, 'superseded');
}

export async function replayLetters(
  deps: ActivityDeps,
  scope: OrganizationScope,
  pipeline: PipelinesTable,
  choice: LetterChoice,
): Promise<ReplayedLetters> {
  const { signal, stream, letters } = choice;
  const counts = { replayed: 0, failed: 0, superseded: 0 };
  const outcomes = new Map<string, LetterOutcome>();
  const work = { ...(await placeOf(deps, scope, pipeline.id)), signal };
  await change(deps, work, choice, (store) =>
    replayIn(store, pipeline.id, choice, (id, outcome) => {
      counts[outcome] += 1;
      if (letters !== null) outcomes.set(id, outcome);
    }),
  );
  const of = { pipelineId: pipeline.id, stream };
  return {
    ...counts,
    remaining: await countOpenLetters(deps.metadata.db, scope, of),
    letters:
      letters?.map(({ id, letter_id }) => ({
        id,
        outcome: outcomes.get(letter_id) ?? 'superseded',
      })) ?? null,
  };
}

async function dropIn(
  store: DeadLetterStore,
  pipelineId: string,
  { stream, letters, signal }: LetterChoice,
): Promise<number> {
  const ids = letters?.map(({ letter_id }) => letter_id) ?? null;
  const range = { pipelines: lettersOf(pipelineId), stream, ids, openOnly: false, after: null };
  let dropped = 0;
  for (;;) {
    signal.throwIfAborted();
    // From the start each time: what was there is gone.
    const page = await store.page({ ...range, limit: PAGE });
    if (page.letters.length === 0) return dropped;
    dropped += await store.remove(page.letters.map(({ id }) => id));
  }
}

export async function dropLetters(
  deps: ActivityDeps,
  scope: OrganizationScope,
  pipeline: PipelinesTable,
  choice: LetterChoice,
): Promise<DroppedLetters> {
  const work = { ...(await placeOf(deps, scope, pipeline.id)), signal: choice.signal };
  const dropped = await change(deps, work, choice, (store) => dropIn(store, pipeline.id, choice));
  const of = { pipelineId: pipeline.id, stream: choice.stream };
  return { dropped, remaining: await countOpenLetters(deps.metadata.db, scope, of) };
}
