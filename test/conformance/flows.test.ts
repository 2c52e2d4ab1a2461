// The flows of backfills and replications on both engines, over activities that only note what they were asked.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { ForebayError } from '../../src/core/errors.ts';
import type { ActivityContext, ActivityMap, Json } from '../../src/orchestration/flow.ts';
import { type BackfillInput, RANGES_PER_RUN } from '../../src/orchestration/flows/backfill.ts';
import { MOST_RANGES } from '../../src/orchestration/flows/backfill-ranges.ts';
import type { BackfillOutput } from '../../src/orchestration/flows/backfill-outcome.ts';
import { productSubjects, type Subject, workflowId } from '../support/orchestration-subject.ts';
import { eventually } from '../support/wait.ts';

const ROWS = 10;
const RETRY = {
  fallback: { maxAttempts: 1, initialDelayMs: 1, maxDelayMs: 1, multiplier: 1 },
  own: { maxAttempts: 1, initialDelayMs: 1, maxDelayMs: 1, multiplier: 1, permanentCodes: [] },
};

interface Asked {
  readonly name: string;
  readonly input: Readonly<Record<string, Json>> & { readonly executionId: string };
}

/** What activities do and were asked, by execution. */
class World {
  readonly asked = new Map<string, Asked[]>();
  /** Parts of an execution that fail. */
  readonly failing = new Map<string, ReadonlySet<number>>();
  /** Executions each of whose failures has much to say of its own. */
  readonly longWinded = new Set<string>();
  /** Parts from which on those of the execution wait, until it is opened. */
  readonly gates = new Map<string, { readonly from: number; open: PromiseWithResolvers<void> }>();
  readonly #told = new Map<string, PromiseWithResolvers<void>>();

  of(execution: string, name: string): readonly Asked[] {
    return (this.asked.get(execution) ?? []).filter((asked) => asked.name === name);
  }

  activities(): ActivityMap {
    const noting =
      (
        name: string,
        act: (execution: string, input: Asked['input'], context: ActivityContext) => unknown,
      ) =>
      async (input: Json, context: ActivityContext): Promise<unknown> => {
        const given = input as Asked['input'];
        const { executionId: execution } = given;
        const asked = this.asked.get(execution) ?? [];
        asked.push({ name, input: given });
        this.asked.set(execution, asked);
        return await act(execution, given, context);
      };
    const done = (name: string) => noting(name, () => null);
    return {
      beginExecution: noting('beginExecution', () => ({
        layers: ['bronze', 'silver'],
        retry: RETRY,
      })),
      checkBackfill: done('checkBackfill'),
      backfillRange: noting('backfillRange', (execution, { part }, context) =>
        this.#range(execution, Number(part), context),
      ),
      silver: done('silver'),
      gold: done('gold'),
      noteRetry: done('noteRetry'),
      endExecution: done('endExecution'),
      replicate: noting('replicate', async (execution, _, { signal }) => {
        const told = Promise.withResolvers<void>();
        this.#told.set(execution, told);
        const aborted = (): void => told.reject(signal.reason);
        signal.addEventListener('abort', aborted, { once: true });
        await told.promise;
        return { ended: 'told', begun: true };
      }),
      tellReplication: noting('tellReplication', async (execution) => {
        await eventually(() => this.#told.has(execution));
        this.#told.get(execution)?.resolve();
        this.#told.delete(execution);
        return null;
      }),
    };
  }

  async #range(
    execution: string,
    part: number,
    { signal }: ActivityContext,
  ): Promise<{ readonly rows: number }> {
    const gate = this.gates.get(execution);
    if (gate !== undefined && part >= gate.from) {
      const aborted = Promise.withResolvers<void>();
      signal.addEventListener('abort', () => aborted.reject(signal.reason as Error), {
        once: true,
      });
      await Promise.race([gate.open.promise, aborted.promise]);
    }
    if (this.failing.get(execution)?.has(part) === true)
      throw new ForebayError('privilege_missing', {
        message: this.longWinded.has(execution)
          ? `part ${part}: ${'\u65e5"'.repeat(500)}`
          : `not part ${part % 2}`,
      });
    return { rows: ROWS };
  }
}

describe.each(productSubjects)('flows, $name', (kind) => {
  const world = new World();
  let subject: Subject | null;
  beforeAll(async () => {
    subject = await kind.open(world.activities());
  });
  afterAll(async () => {
    await subject?.[Symbol.asyncDispose]();
  });

  const it = (name: string, act: (on: Subject) => Promise<void>, timeoutMs?: number): void => {
    test(
      name,
      async (context) => {
        if (subject === null) return context.skip();
        await act(subject);
      },
      timeoutMs,
    );
  };

  const inputOf = (executionId: string, more: Partial<BackfillInput> = {}): BackfillInput => ({
    organizationId: 'o',
    pipelineId: 'p',
    executionId,
    span: { kind: 'keys', column: 'id', start: 1, end: 100, each: 10 },
    only: null,
    parallel: 1,
    maxRows: null,
    ...more,
  });
  const start = async ({ orchestrator }: Subject, input: BackfillInput): Promise<void> => {
    await orchestrator.start('BackfillWorkflow', { workflowId: input.executionId, input });
  };
  const outputOf = async ({ orchestrator }: Subject, id: string): Promise<BackfillOutput> => {
    const outcome = await orchestrator.result(id);
    if (outcome.status !== 'completed') throw new Error(JSON.stringify(outcome));
    return outcome.result as unknown as BackfillOutput;
  };
  const backfill = async (on: Subject, input: BackfillInput): Promise<BackfillOutput> => {
    await start(on, input);
    return outputOf(on, input.executionId);
  };
  const parts = (execution: string): readonly number[] =>
    world.of(execution, 'backfillRange').map(({ input }) => Number(input['part']));
  const numbers = (count: number): readonly number[] =>
    Array.from({ length: count }, (_, index) => index);

  it('a range that fails stops no other one, and is left for another execution', async (on) => {
    const id = workflowId();
    world.failing.set(id, new Set([2, 3, 7]));
    const output = await backfill(on, inputOf(id, { parallel: 3 }));
    expect(output).toMatchObject({
      ranges: { total: 10, done: 7, failed: 3, not_begun: 0 },
      rows: 70,
      failed: [
        { start: 21, end: 30, ranges: 1, message: 'not part 0' },
        { start: 31, end: 40, ranges: 1, message: 'not part 1' },
        { start: 71, end: 80, ranges: 1, code: 'privilege_missing' },
      ],
      left: '2-3,7',
    });
    expect(parts(id).toSorted((a, b) => a - b)).toEqual(numbers(10));
    expect(world.of(id, 'silver')).toHaveLength(1);
    expect(world.of(id, 'endExecution')).toMatchObject([
      {
        input: { status: 'failed', layer: 'bronze', error: { code: 'privilege_missing' }, output },
      },
    ]);
    const again = workflowId();
    expect(await backfill(on, inputOf(again, { only: output.left }))).toMatchObject({
      ranges: { total: 3, done: 3 },
      left: '',
    });
    expect(parts(again)).toEqual([2, 3, 7]);
  });

  it('no range is begun once enough rows were read, also where another worker goes on', async (on) => {
    const id = workflowId();
    const gate = { from: 3, open: Promise.withResolvers<void>() };
    world.gates.set(id, gate);
    await start(on, inputOf(id, { maxRows: 45 }));
    await eventually(() => parts(id).includes(3));
    await on.restart();
    gate.open.resolve();
    expect(await outputOf(on, id)).toMatchObject({
      ranges: { total: 10, done: 5, failed: 0, not_begun: 5 },
      rows: 50,
      stopped_by: 'max_rows',
      done: [{ start: 1, end: 50 }],
      not_begun: [{ start: 51, end: 100 }],
      left: '5-9',
    });
    expect(new Set(parts(id))).toEqual(new Set(numbers(5)));
    expect(world.of(id, 'endExecution')).toMatchObject([{ input: { status: 'completed' } }]);
  });

  it('one that is cancelled tells what it did not do', async (on) => {
    const id = workflowId();
    world.gates.set(id, { from: 4, open: Promise.withResolvers() });
    await start(on, inputOf(id));
    await eventually(() => parts(id).includes(4));
    await on.orchestrator.cancel(id);
    expect(await on.orchestrator.result(id)).toMatchObject({ status: 'cancelled' });
    expect(world.of(id, 'endExecution')).toMatchObject([
      {
        input: {
          status: 'cancelled',
          output: { stopped_by: 'cancel', left: '4-9', rows: 40, ranges: { failed: 0 } },
        },
      },
    ]);
    expect(parts(id)).toEqual(numbers(5));
    expect(world.of(id, 'silver')).toEqual([]);
  });

  it('ranges of more than one run are read each once, and those that failed are known', async (on) => {
    const id = workflowId();
    const total = RANGES_PER_RUN + 50;
    const failing = numbers(total).filter((part) => part % 3 === 0);
    world.failing.set(id, new Set(failing));
    const span = { kind: 'keys', column: 'id', start: 1, end: total, each: 1 } as const;
    const output = await backfill(on, inputOf(id, { span, parallel: 32 }));
    const failed = failing.length;
    expect(output.ranges).toEqual({ total, done: total - failed, failed, not_begun: 0 });
    expect(output.left).toBe(failing.join(','));
    expect(parts(id).toSorted((a, b) => a - b)).toEqual(numbers(total));
    expect(world.of(id, 'checkBackfill')).toHaveLength(1);
  });

  it('a demand to read streams again goes to the step that follows, until that has taken it up', async (on) => {
    const executionId = workflowId();
    const ref = { organizationId: 'o', pipelineId: 'p', executionId };
    await on.orchestrator.start('ReplicationWorkflow', { workflowId: executionId, input: ref });
    const runs = () => world.of(executionId, 'replicate');
    const tell = (id: string, payload: Json): Promise<void> =>
      on.orchestrator.signal(executionId, { name: 'control', id, payload });
    await eventually(() => runs().length === 1);
    const first = { demand: 'first', streams: ['a', 'b'] };
    await tell('first', first);
    await tell('first', first);
    await eventually(() => runs().length === 2);
    await tell('pause', 'pause');
    await eventually(async () => {
      expect(await on.orchestrator.query(executionId, 'state')).toBe('paused');
      return true;
    });
    await tell('second', { demand: 'second', streams: ['b'] });
    await tell('third', { demand: 'third', streams: ['b', 'c'] });
    await tell('resume', 'resume');
    await eventually(() => runs().length === 3);
    await tell('reconfigure', 'reconfigure');
    await eventually(() => runs().length === 4);
    await tell('stop', 'stop');
    expect(await on.orchestrator.result(executionId)).toMatchObject({ status: 'completed' });
    expect(runs().map(({ input }) => input['resync'] ?? null)).toEqual([
      null,
      [first],
      [{ demand: 'third', streams: ['b', 'c'] }],
      null,
    ]);
  });

  if (kind.name !== 'Temporal') {
    it('as many ranges as there may be fit into every payload, whatever became of them', async (on) => {
      const id = workflowId();
      world.failing.set(id, new Set(numbers(MOST_RANGES).filter((part) => part % 2 === 0)));
      world.longWinded.add(id);
      const span = { kind: 'keys', column: 'id', start: 1, end: MOST_RANGES, each: 1 } as const;
      const output = await backfill(on, inputOf(id, { span, parallel: 8 }));
      const half = MOST_RANGES / 2;
      expect(output.ranges).toEqual({ total: 5000, done: half, failed: half, not_begun: 0 });
      expect(output.left.split(',')).toHaveLength(half);
    });

    it('ten years by the day', async (on) => {
      const id = workflowId();
      const span = { kind: 'days', start: '2015-01-01', end: '2024-12-28', each: 1 } as const;
      const output = await backfill(on, inputOf(id, { span, parallel: 8 }));
      expect(output).toMatchObject({
        ranges: { total: 3650, done: 3650 },
        done: [{ start: '2015-01-01', end: '2024-12-28' }],
        rows: 3650 * ROWS,
      });
      expect(parts(id)).toHaveLength(3650);
    });
  }
});
