/**
 * Runs a flow function in memory. It asks by commands, numbered in the order of the calls, and goes on by what is
 * delivered to it, one thing at a time: the same deliveries in the same order make it ask the same. Nothing here is
 * written or waits for the world.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate as afterMicrotasks } from 'node:timers/promises';
import { asForebayError, ForebayError } from '../../core/errors.ts';
import { cancelled, type FailureReport, fromFailure, toFailure } from '../failure.ts';
import { fanOut } from '../fan-out.ts';
import type { ActivityMap, FlowContext, FlowMap, Json, RunOptions } from '../flow.ts';
import { fromPayload, toPayload } from '../payload.ts';
import { flowUuid } from './flow-uuid.ts';

export type CommandKind = 'activity' | 'timer' | 'signal' | 'child';

export interface Command {
  readonly kind: CommandKind;
  readonly seq: number;
  /** Of the activity, the signal or the flow; of a timer its milliseconds. */
  readonly name: string;
  /** JSON text. */
  readonly input: string;
  readonly options: RunOptions;
  /** Of a timer, or how long a signal is waited for. */
  readonly waitMs: number | null;
  /** Of a child. */
  readonly workflowId: string | null;
  /** Goes on when the flow is cancelled. */
  readonly shielded: boolean;
}

export type Answer =
  | { readonly ok: true; readonly result: Json }
  | { readonly ok: false; readonly failure: FailureReport };

export type Ending =
  | { readonly kind: 'completed'; readonly result: string }
  | { readonly kind: 'failed'; readonly failure: FailureReport }
  | { readonly kind: 'cancelled'; readonly failure: FailureReport }
  | { readonly kind: 'continued'; readonly input: string };

export interface MachineSetup {
  readonly flow: FlowMap[string];
  readonly input: Json;
  readonly workflowId: string;
  readonly runId: string;
  readonly startedAtMs: number;
  readonly onCommand: (command: Command) => void;
  /** 1 where the mark is in the journal or the flow is past it; asked once for each id. */
  readonly onVersion: (id: string) => number;
}

interface Waiting {
  readonly command: Command;
  readonly resolve: (value: Json) => void;
  readonly reject: (error: ForebayError) => void;
}

type Asked = Partial<Omit<Command, 'seq' | 'kind' | 'name' | 'shielded'>>;

const shield = new AsyncLocalStorage<true>();

export class FlowMachine {
  readonly #setup: MachineSetup;
  readonly #waiting = new Map<number, Waiting>();
  readonly #queries = new Map<string, () => Json>();
  readonly #versions = new Map<string, number>();
  #nowMs: number;
  #asked = 0;
  #uuids = 0;
  #cancelled = false;
  #ending: Ending | null = null;

  constructor(setup: MachineSetup) {
    this.#setup = setup;
    this.#nowMs = setup.startedAtMs;
  }

  get ending(): Ending | null {
    return this.#ending;
  }

  get cancelled(): boolean {
    return this.#cancelled;
  }

  /** Commands that were asked so far. */
  get asked(): number {
    return this.#asked;
  }

  waitsFor(seq: number): boolean {
    return this.#waiting.has(seq);
  }

  /** Runs until the flow waits for what it asked. */
  start(): Promise<void> {
    void this.#perform();
    return this.#settle();
  }

  async #perform(): Promise<void> {
    const { flow, input } = this.#setup;
    try {
      const result = toPayload(await flow(this.#context(), input), 'the result of the flow');
      this.#end({ kind: 'completed', result });
    } catch (error) {
      const known = asForebayError(error);
      const kind = this.#cancelled && known.code === 'flow_cancelled' ? 'cancelled' : 'failed';
      this.#end({ kind, failure: toFailure(known) });
    }
  }

  /** The first way to end counts: nothing comes after `continueAsNew`. */
  #end(ending: Ending): void {
    this.#ending ??= ending;
  }

  /** The flow awaits nothing but what is delivered, so that it stands still once microtasks are done. */
  async #settle(): Promise<void> {
    await afterMicrotasks();
  }

  deliver(seq: number, answer: Answer, atMs: number): Promise<void> {
    const waiting = this.#waiting.get(seq);
    if (waiting === undefined || this.#ending !== null) return Promise.resolve();
    this.#advance(atMs);
    this.#waiting.delete(seq);
    if (answer.ok) waiting.resolve(answer.result);
    else waiting.reject(fromFailure(answer.failure));
    return this.#settle();
  }

  /** Waits end at once; activities and children have to end by themselves, whoever drives this tells them. */
  cancel(atMs: number): Promise<void> {
    this.#advance(atMs);
    this.#cancelled = true;
    for (const [seq, { command, reject }] of this.#waiting) {
      if (command.shielded || (command.kind !== 'timer' && command.kind !== 'signal')) continue;
      this.#waiting.delete(seq);
      reject(cancelled(this.#setup.workflowId));
    }
    return this.#settle();
  }

  /** Fails with `not_found` where the flow answers no such query. */
  query(name: string): Json {
    const answer = this.#queries.get(name);
    if (answer === undefined)
      throw new ForebayError('not_found', { message: `the flow answers no query ${name}` });
    return fromPayload(toPayload(answer(), `the answer to ${name}`));
  }

  /** A clock that went back does not turn the flow's time back. */
  #advance(atMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, atMs);
  }

  #ask(kind: CommandKind, name: string, asked: Asked): Promise<Json> {
    const shielded = shield.getStore() === true;
    if (this.#ending !== null) return new Promise(() => {});
    if (this.#cancelled && !shielded) return Promise.reject(cancelled(this.#setup.workflowId));
    this.#asked += 1;
    const command: Command = {
      kind,
      seq: this.#asked,
      name,
      input: 'null',
      options: {},
      waitMs: null,
      workflowId: null,
      shielded,
      ...asked,
    };
    const { promise, resolve, reject } = Promise.withResolvers<Json>();
    // A flow may leave a promise behind, as the loser of a race.
    promise.catch(() => {});
    this.#waiting.set(command.seq, { command, resolve, reject });
    this.#setup.onCommand(command);
    return promise;
  }

  #context(): FlowContext<ActivityMap> {
    const { workflowId, runId } = this.#setup;
    return {
      workflowId,
      runId,
      run: async (name, input, options = {}) =>
        await this.#ask('activity', name, {
          input: toPayload(input, `the input of ${name}`),
          options,
        }),
      sleep: async (ms) => {
        await this.#ask('timer', String(ms), { waitMs: ms });
      },
      signal: async (name, { timeoutMs } = {}) =>
        await this.#ask('signal', name, { waitMs: timeoutMs ?? null }),
      query: (name, answer) => void this.#queries.set(name, answer),
      child: async (flow, input, options) =>
        await this.#ask('child', flow, {
          input: toPayload(input, `the input of ${flow}`),
          workflowId: options.workflowId,
        }),
      all: fanOut,
      continueAsNew: (input) => this.#continue(input),
      now: () => this.#nowMs,
      uuid: () => flowUuid(runId, (this.#uuids += 1), this.#nowMs),
      version: (id) => this.#version(id),
      uncancelled: (act) => shield.run(true, act),
    };
  }

  #continue(input: Json): Promise<never> {
    // One that was cancelled must not come back.
    if (this.#cancelled && shield.getStore() !== true)
      return Promise.reject(cancelled(this.#setup.workflowId));
    try {
      this.#end({ kind: 'continued', input: toPayload(input, 'the input of continueAsNew') });
    } catch (error) {
      return Promise.reject(asForebayError(error));
    }
    return new Promise(() => {});
  }

  #version(id: string): number {
    const known = this.#versions.get(id);
    if (known !== undefined) return known;
    const version = this.#setup.onVersion(id);
    this.#versions.set(id, version);
    return version;
  }
}
