import type { PipelineState } from '../../core/checkpoint.ts';
import type {
  Destination,
  DestinationSession,
  Finding,
  Leftover,
  SessionOptions,
  StreamTarget,
  TargetPlan,
} from '../../core/connector.ts';
import type {
  DeadLetter,
  DeadLetterStore,
  LetterPage,
  LetterRange,
  Retransformed,
} from '../../core/dead-letter.ts';
import { checkFile, failedFinding } from './check.ts';
import type { DuckdbFile } from './connection.ts';
import { planNewTable, type TableFacts } from './plan.ts';
import { DuckdbSession } from './session.ts';

export class DuckdbDestination implements Destination {
  readonly family = 'duckdb';
  readonly delivery = 'effectively once';
  /** One thread fills vectors; DuckDB spreads its own part over the cores. */
  readonly parallelLoads = 1;
  readonly deadLetters: DeadLetterStore;
  readonly #file: DuckdbFile;

  constructor(file: DuckdbFile) {
    this.#file = file;
    this.deadLetters = new DuckdbDeadLetters(file);
  }

  check(): Promise<Finding[]> {
    return checkFile(this.#file, 'write');
  }

  async plan(target: StreamTarget): Promise<TargetPlan> {
    try {
      return { ...(await this.#facts(target)), frameFormat: null, findings: [] };
    } catch (error) {
      const findings = [failedFinding('table', error, target.id)];
      return { exists: true, empty: false, columns: [], frameFormat: null, findings };
    }
  }

  async readState(pipeline: string): Promise<PipelineState | null> {
    if (!(await this.#file.exists())) return null;
    return (await this.#file.client()).call('readState', pipeline);
  }

  async pipelines(): Promise<readonly string[]> {
    if (!(await this.#file.exists())) return [];
    return (await this.#file.client()).call('pipelines');
  }

  async openSession(
    pipeline: string,
    options: SessionOptions = { acceptDamaged: false },
  ): Promise<DestinationSession> {
    await this.#file.assertUsable('write');
    const client = await this.#file.client();
    return new DuckdbSession(
      await client.call('openSession', pipeline, options),
      client,
      this.#file.context,
    );
  }

  async leftovers(pipeline: string): Promise<readonly Leftover[]> {
    const state = await this.readState(pipeline);
    return state === null ? [] : [{ kind: 'checkpoint', name: pipeline }];
  }

  async drop(pipeline: string): Promise<void> {
    if (!(await this.#file.exists())) return;
    await (await this.#file.client()).call('drop', pipeline);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file[Symbol.asyncDispose]();
  }

  async #facts(target: StreamTarget): Promise<TableFacts> {
    if (!(await this.#file.exists())) return planNewTable(target);
    return (await this.#file.client()).call('plan', target);
  }
}

class DuckdbDeadLetters implements DeadLetterStore {
  readonly #file: DuckdbFile;

  constructor(file: DuckdbFile) {
    this.#file = file;
  }

  async list(pipeline: string | null): Promise<readonly Omit<DeadLetter, 'payload'>[]> {
    await this.#file.assertUsable('read');
    return (await this.#file.client()).call('listLetters', pipeline);
  }

  async page(range: LetterRange): Promise<LetterPage> {
    // Asked before the first run, too.
    if (!(await this.#file.exists())) return { letters: [], next: null };
    return (await this.#file.client()).call('letterPage', range);
  }

  async get(id: string): Promise<DeadLetter | null> {
    await this.#file.assertUsable('read');
    return (await this.#file.client()).call('getLetter', id);
  }

  async replay(
    ids: readonly string[],
    through?: (letter: DeadLetter) => Promise<Retransformed>,
  ): Promise<readonly { readonly id: string; readonly error: string | null }[]> {
    await this.#file.assertUsable('read');
    const client = await this.#file.client();
    const results: { id: string; error: string | null }[] = [];
    for (const id of await client.call('orderLetters', ids)) {
      const letter = through === undefined ? null : await client.call('getLetter', id);
      const goesThrough = letter !== null && letter.transformation !== null && !letter.replayedAt;
      const replacement = goesThrough ? ((await through?.(letter)) ?? null) : null;
      const error =
        replacement?.kind === 'failed'
          ? replacement.reason
          : await client.call('replayLetter', id, replacement);
      results.push({ id, error });
    }
    return results;
  }

  async remove(ids: readonly string[]): Promise<number> {
    await this.#file.assertUsable('read');
    return (await this.#file.client()).call('removeLetters', ids);
  }
}
