/**
 * Brings the index of dead letters up to the destination, whose table is the truth: letters that are not indexed yet are
 * entered, counted and told of in one transaction, so that each is told of once whoever finds it and whatever dies in
 * between; those that are open no longer are resolved.
 */
import { type NamedSystem, openDestination } from '../../connectors/registry.ts';
import type { DeadLetterStore, IndexedLetter } from '../../core/dead-letter.ts';
import { failpoint, failpointsArmed } from '../../core/failpoint.ts';
import {
  indexDeadLetters,
  indexedLetters,
  openLetters,
  settleDeadLetters,
} from '../../metadata/dead-letters.ts';
import { appendEvents } from '../../metadata/events-outbox.ts';
import { appendLogs } from '../../metadata/execution-logs.ts';
import { addFailedRecords } from '../../metadata/executions.ts';
import type { OrganizationScope } from '../../metadata/scope.ts';
import type { DeadLettersTable, Layer } from '../../metadata/tables.ts';
import { inTransaction, type MetadataTransaction, timeOf } from '../../metadata/transaction.ts';
import type { ActivityDeps } from './deps.ts';
import { engineName } from './extract.ts';
import { systemContext } from './system-context.ts';

const MEMORY_BYTES = 16 * 1024 * 1024;
const PAGE = 500;

export interface LetterPlace {
  readonly scope: OrganizationScope;
  readonly pipelineId: string;
  readonly destination: NamedSystem;
}

export interface LetterWork extends LetterPlace {
  /** To which letters belong that nobody knows yet; null where there is none. */
  readonly executionId: string | null;
  /** Of the lines in its log. */
  readonly layer: Layer | null;
  readonly signal: AbortSignal;
}

/** All letters of the pipeline, by whatever means it writes. */
export function lettersOf(pipelineId: string): readonly string[] {
  return [engineName('follow', pipelineId), engineName('query', pipelineId)];
}

/** Reads of it may stand beside whoever writes the system; what changes it takes a turn. */
export async function withLetters<T>(
  destination: NamedSystem,
  signal: AbortSignal,
  act: (store: DeadLetterStore) => Promise<T>,
): Promise<T> {
  await using opened = await openDestination(destination, systemContext(signal, MEMORY_BYTES));
  return await act(opened.deadLetters);
}

export function keepsLetters({ entry }: NamedSystem): boolean {
  return entry.destination.includes('dead letters');
}

/** Gives how many are open. */
export async function bringUp(
  { metadata }: Pick<ActivityDeps, 'metadata'>,
  work: LetterWork,
  store: DeadLetterStore,
): Promise<number> {
  const index = new LetterIndex(metadata, work, store);
  await index.enter();
  return await index.settle();
}

/** Of these letters alone, for who has changed them: any number of others is not looked at. */
export async function settleLetters(
  { metadata }: Pick<ActivityDeps, 'metadata'>,
  work: LetterWork,
  store: DeadLetterStore,
  ids: readonly string[],
): Promise<void> {
  await new LetterIndex(metadata, work, store).settleThese(ids);
}

export async function bringUpLetters(
  deps: Pick<ActivityDeps, 'metadata'>,
  work: LetterWork,
): Promise<number> {
  const { destination, signal } = work;
  if (!keepsLetters(destination)) return 0;
  return await withLetters(destination, signal, (store) => bringUp(deps, work, store));
}

type Metadata = ActivityDeps['metadata'];

class LetterIndex {
  readonly #db: Metadata['db'];
  readonly #work: LetterWork;
  readonly #store: DeadLetterStore;

  constructor({ db }: Metadata, work: LetterWork, store: DeadLetterStore) {
    this.#db = db;
    this.#work = work;
    this.#store = store;
  }

  async enter(): Promise<void> {
    const pipelines = lettersOf(this.#work.pipelineId);
    const range = { pipelines, stream: null, ids: null, openOnly: false, limit: PAGE };
    for (let after: string | null = null; ;) {
      this.#work.signal.throwIfAborted();
      const { letters, next } = await this.#store.page({ ...range, after });
      await this.#enterPage(letters);
      if (next === null) return;
      after = next;
    }
  }

  /** Letters that are resolved, or are there no longer. Gives how many are open. */
  async settle(): Promise<number> {
    const { scope, pipelineId, signal } = this.#work;
    let open = 0;
    for (let after = ''; ;) {
      signal.throwIfAborted();
      const page = { after, limit: PAGE };
      const ids = await openLetters(this.#db, scope, pipelineId, page);
      const last = ids.at(-1);
      if (last === undefined) return open;
      open += await this.settleThese(ids);
      if (ids.length < PAGE) return open;
      after = last;
    }
  }

  /** At most a page. Gives how many are open. */
  async settleThese(ids: readonly string[]): Promise<number> {
    const { scope, pipelineId } = this.#work;
    const range = { pipelines: lettersOf(pipelineId), stream: null, openOnly: true, after: null };
    const { letters } = await this.#store.page({ ...range, ids, limit: PAGE });
    const open = new Set(letters.map(({ id }) => id));
    const resolved = ids.filter((id) => !open.has(id));
    await settleDeadLetters(this.#db, scope, pipelineId, { ids: resolved, resolved: true });
    return open.size;
  }

  async #enterPage(letters: readonly IndexedLetter[]): Promise<void> {
    const { scope, pipelineId } = this.#work;
    const ids = letters.map(({ id }) => id);
    const known = await indexedLetters(this.#db, scope, pipelineId, ids);
    // The destination could not be read right when they were resolved, or it is another one now.
    const open = letters.filter(({ id, isOpen }) => isOpen && known.get(id)?.isOpen === false);
    const reopened = { ids: open.map(({ id }) => id), resolved: false };
    await settleDeadLetters(this.#db, scope, pipelineId, reopened);
    const found = letters.filter(({ id }) => !known.has(id));
    if (found.length === 0) return;
    if (failpointsArmed) await failpoint('letters.beforeIndex');
    await inTransaction(this.#db, (transaction) => this.#tell(transaction, found));
    if (failpointsArmed) await failpoint('letters.afterIndex');
  }

  async #tell(transaction: MetadataTransaction, found: readonly IndexedLetter[]): Promise<void> {
    const { scope, pipelineId, executionId, layer } = this.#work;
    const rows = await indexDeadLetters(
      transaction,
      scope,
      pipelineId,
      found.map(({ id, stream, code, reason, at, isOpen }) => ({
        execution_id: executionId,
        stream,
        letter_id: id,
        code,
        reason,
        created_at: at,
        isOpen,
      })),
    );
    if (rows.length === 0) return;
    if (failpointsArmed) await failpoint('letters.insideIndex');
    if (executionId !== null) {
      await addFailedRecords(transaction, scope, executionId, rows.length);
      await appendLogs(
        transaction,
        scope,
        executionId,
        rejections(rows).map((rejection) => ({ ...rejection, layer })),
      );
    }
    await appendEvents(transaction, scope, [
      {
        type: 'records.rejected',
        subject: executionId ?? pipelineId,
        data: JSON.stringify({
          execution_id: executionId,
          pipeline_id: pipelineId,
          rejected: countsOf(rows),
        }),
      },
    ]);
  }
}

type Row = Pick<DeadLettersTable, 'letter_id' | 'stream' | 'code' | 'reason'>;

function countsOf(rows: readonly Row[]) {
  const groups = Map.groupBy(rows, ({ stream, code }) => `${stream}\n${code}`);
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    if (first === undefined) return [];
    return [{ stream: first.stream, code: first.code, count: group.length }];
  });
}

/** A line for each cause, not for each row. */
function rejections(rows: readonly Row[]) {
  const groups = Map.groupBy(rows, ({ stream, reason }) => `${stream}\n${reason}`);
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    if (first === undefined) return [];
    const { stream, code, reason, letter_id } = first;
    const count = group.length;
    const were = count === 1 ? '1 row of' : `${count} rows of`;
    const verb = count === 1 ? 'was' : 'were';
    return [
      {
        line_key: `letters/${letter_id}`,
        timestamp: timeOf(),
        level: 'warning' as const,
        message: `${were} ${stream} ${verb} rejected: ${reason}; see the dead letters`,
        fields: JSON.stringify({ stream, code, count }),
      },
    ];
  });
}
