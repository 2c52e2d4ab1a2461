/** Dead letters of all streams of a configuration file; each is replayed as its stream would write it now. */
import type { ConnectorContext, Destination } from '../core/connector.ts';
import type { DeadLetter, DeadLetterStore } from '../core/dead-letter.ts';
import type { LoadedConfiguration } from './configuration/inspect.ts';
import { pipelineNameOf, planStream, type StreamPlan } from './stream-plan.ts';

type Replayed = Awaited<ReturnType<DeadLetterStore['replay']>>[number];

export class StreamLetters implements Omit<DeadLetterStore, 'page'>, AsyncDisposable {
  readonly #loaded: LoadedConfiguration;
  readonly #context: ConnectorContext;
  /** By the name of the pipeline; opened when they are asked for. */
  readonly #plain = new Map<string, Promise<Destination>>();
  readonly #transforming = new Map<string, Promise<Destination>>();

  constructor(loaded: LoadedConfiguration, context: ConnectorContext) {
    this.#loaded = loaded;
    this.#context = context;
  }

  async list(pipeline: string | null): ReturnType<DeadLetterStore['list']> {
    const found: Omit<DeadLetter, 'payload'>[] = [];
    for (const name of this.#pipelines()) {
      if (pipeline !== null && pipeline !== name) continue;
      found.push(...(await (await this.#store(name)).list(name)));
    }
    return found;
  }

  async get(id: string): Promise<DeadLetter | null> {
    for (const name of this.#pipelines()) {
      const letter = await (await this.#store(name)).get(id);
      if (letter?.pipeline === name) return letter;
    }
    return null;
  }

  async replay(ids: readonly string[]): Promise<readonly Replayed[]> {
    const results: Replayed[] = [];
    for (const [name, own] of await this.#byPipeline(ids)) {
      results.push(...(await (await this.#writer(name)).replay(own)));
    }
    return results;
  }

  async remove(ids: readonly string[]): Promise<number> {
    let removed = 0;
    for (const [name, own] of await this.#byPipeline(ids)) {
      removed += await (await this.#store(name)).remove(own);
    }
    return removed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const opened of await Promise.allSettled([
      ...this.#plain.values(),
      ...this.#transforming.values(),
    ])) {
      if (opened.status === 'fulfilled') await opened.value[Symbol.asyncDispose]();
    }
  }

  #pipelines(): readonly string[] {
    return this.#loaded.configuration.streams.map(({ id }) => pipelineNameOf(id));
  }

  async #byPipeline(ids: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>> {
    const letters = await this.list(null);
    const wanted = letters.filter(({ id }) => ids.includes(id));
    return new Map(
      this.#pipelines().flatMap((name) => {
        const own = wanted.filter(({ pipeline }) => pipeline === name).map(({ id }) => id);
        return own.length === 0 ? [] : [[name, own] as const];
      }),
    );
  }

  async #store(pipeline: string): Promise<DeadLetterStore> {
    const opened =
      this.#plain.get(pipeline) ??
      this.#plan(pipeline).then(({ openPlain, systems }) =>
        openPlain({ ...this.#context, options: systems.options }),
      );
    this.#plain.set(pipeline, opened);
    return (await opened).deadLetters;
  }

  /** With the stream's transformation. */
  async #writer(pipeline: string): Promise<DeadLetterStore> {
    const opened =
      this.#transforming.get(pipeline) ??
      this.#plan(pipeline).then(({ systems }) =>
        systems.openDestination({ ...this.#context, options: systems.options }),
      );
    this.#transforming.set(pipeline, opened);
    return (await opened).deadLetters;
  }

  async #plan(pipeline: string): Promise<StreamPlan> {
    const { streams } = this.#loaded.configuration;
    const stream = streams.find(({ id }) => pipelineNameOf(id) === pipeline);
    if (stream === undefined) throw new RangeError(`no stream has the pipeline ${pipeline}`);
    return await planStream(this.#loaded, stream, { untilCaughtUp: false, moving: () => {} });
  }
}
