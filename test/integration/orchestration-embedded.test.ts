// What only the embedded engine has: journals, owners, memory.
import { describe, expect, test } from 'vitest';

import type { FlowContext, FlowMap, Json } from '../../src/orchestration/flow.ts';
import { Recorder, testActivities } from '../support/orchestration-activities.ts';
import { FLOWS, type TestActivities } from '../support/orchestration-flows.ts';
import {
  postgresPlace,
  sqlitePlace,
  type StartedEngine,
  workflowId,
} from '../support/orchestration-subject.ts';
import { eventually } from '../support/wait.ts';

type Ctx = FlowContext<TestActivities>;
const flowsWith = (flow: (ctx: Ctx, input: never) => Promise<unknown>): FlowMap => ({
  ...FLOWS,
  changing: flow,
});

const waiting = (engine: StartedEngine, id: string): Promise<unknown> =>
  eventually(async () => {
    const description = await engine.orchestrator.describe(id);
    return description?.pending.some(({ kind }) => kind === 'signal');
  });

async function change(
  before: (ctx: Ctx) => Promise<unknown>,
  after: (ctx: Ctx) => Promise<unknown>,
): Promise<{ readonly outcome: unknown; readonly status: unknown }> {
  await using place = sqlitePlace();
  const id = workflowId();
  {
    await using engine = await place.start({ flows: flowsWith(before) });
    await engine.orchestrator.start('changing', { workflowId: id, input: null });
    await waiting(engine, id);
  }
  await using engine = await place.start({ flows: flowsWith(after) });
  await engine.orchestrator.signal(id, { name: 'go', id: '1', payload: 'went' });
  const outcome = await engine.orchestrator.result(id);
  return { outcome, status: (await engine.orchestrator.describe(id))?.status };
}

describe('a flow that was changed while it ran', () => {
  const before = async (ctx: Ctx): Promise<Json> => {
    await ctx.run('echo', 1);
    return ctx.signal('go');
  };

  test.each([
    ['another activity', (ctx: Ctx) => ctx.run('fail', { code: 'value_rejected' }), 1],
    ['another input', (ctx: Ctx) => ctx.run('echo', 2), 1],
    ['another kind of step', (ctx: Ctx) => ctx.sleep(1), 1],
    ['fewer steps', (ctx: Ctx) => ctx.run('echo', 1), 2],
  ] as const)('so that it asks for %s is parked, and the step is named', async (_, after, step) => {
    const { outcome, status } = await change(before, after);
    expect(status).toBe('parked');
    expect(outcome).toMatchObject({
      status: 'failed',
      error: { code: 'flow_diverged', message: expect.stringContaining(`at step ${step}`) },
    });
  });

  test('behind a version goes its old way to the end', async () => {
    const { outcome } = await change(before, async (ctx) => {
      if (ctx.version('no echo') === 0) await ctx.run('echo', 1);
      const letter = await ctx.signal('go');
      return [letter, ctx.version('no echo'), ctx.version('later')];
    });
    expect(outcome).toEqual({ status: 'completed', result: ['went', 0, 1] });
  });

  test('is replayed in the order in which its steps ended', async () => {
    const flow = async (ctx: Ctx): Promise<unknown> => {
      const lane = async (lane: number): Promise<unknown> => {
        // The first one asks first and comes last.
        if (lane === 1) await ctx.sleep(80);
        const got = await ctx.run('echo', lane);
        return ctx.run('echo', Number(got) * 10);
      };
      const all = await Promise.all([lane(1), lane(2), lane(3)]);
      await ctx.signal('go');
      return all;
    };
    const { outcome } = await change(flow, flow);
    expect(outcome).toEqual({ status: 'completed', result: [10, 20, 30] });
  });
});

describe('an engine', () => {
  test('holds few of the flows that wait in memory, and wakes each', async () => {
    await using place = sqlitePlace();
    await using engine = await place.start({ runsInMemory: 20 });
    const ids = Array.from({ length: 200 }, () => workflowId());
    for (const id of ids)
      await engine.orchestrator.start('inbox', { workflowId: id, input: { count: 1 } });
    await eventually(async () => {
      const { n } = await engine.metadata.db
        .selectFrom('journal_runs')
        .select((eb) => eb.fn.countAll<number>().as('n'))
        .where('owner', 'is', null)
        .where('epoch', '=', 1)
        .executeTakeFirstOrThrow();
      return n >= 180;
    });
    expect(engine.orchestrator.loaded()).toBeLessThanOrEqual(20);
    for (const id of ids)
      await engine.orchestrator.signal(id, { name: 'letter', id: '1', payload: id });
    const outcomes = await Promise.all(ids.map((id) => engine.orchestrator.result(id)));
    expect(outcomes).toEqual(ids.map((id) => ({ status: 'completed', result: [id] })));
    expect(engine.faults).toEqual([]);
  });

  test('runs as many activities at a time as it may, queues apart', async () => {
    await using place = sqlitePlace();
    const recorder = new Recorder();
    const flow = async (ctx: Ctx): Promise<unknown> => {
      const doors = Array.from({ length: 6 }, (_, index) => index);
      const long = ctx.run('behindDoor', { door: 'long' }, { queue: 'long' });
      await ctx.all(doors, 6, (door) => ctx.run('behindDoor', { door: String(door) }));
      return long;
    };
    await using engine = await place.start({
      flows: flowsWith(flow),
      activities: testActivities(recorder),
      maxActivities: 2,
    });
    const id = workflowId();
    await engine.orchestrator.start('changing', { workflowId: id, input: null });
    await eventually(() => recorder.running === 3);
    for (const door of ['0', '1', '2', '3', '4', '5', 'long']) recorder.open(door);
    expect(await engine.orchestrator.result(id)).toEqual({ status: 'completed', result: 'long' });
    expect(recorder.mostRunning).toBe(3);
  });

  test('begins an activity that is silent again, with what it told last', async () => {
    await using place = sqlitePlace();
    const attempts: [number, Json | null][] = [];
    await using engine = await place.start({
      flows: flowsWith((ctx) => ctx.run('echo', 1, { heartbeatTimeoutMs: 80 })),
      activities: {
        echo: async (_input, { attempt, lastHeartbeat, heartbeat, signal }) => {
          attempts.push([attempt, lastHeartbeat]);
          if (attempt > 1) return 'done';
          heartbeat('half');
          await new Promise((_, reject) =>
            signal.addEventListener('abort', () => reject(signal.reason)),
          );
          return null;
        },
      },
    });
    const id = workflowId();
    await engine.orchestrator.start('changing', { workflowId: id, input: null });
    expect(await engine.orchestrator.result(id)).toMatchObject({ result: 'done' });
    expect(attempts).toEqual([
      [1, null],
      [2, 'half'],
    ]);
  });

  test('that was taken for dead goes on under a new name', async () => {
    await using place = sqlitePlace();
    await using engine = await place.start({ leaseMs: 1500 });
    const { orchestrator, recorder, metadata } = engine;
    const id = workflowId();
    await orchestrator.start('cleanUp', { workflowId: id, input: { door: 'd' } });
    await eventually(() => recorder.running === 1);
    await metadata.db.deleteFrom('journal_engines').execute();
    await eventually(() => recorder.aborts.length === 1 && recorder.running === 1);
    expect(recorder.aborts).toEqual(['worker_lost']);
    expect(recorder.calls.map(({ attempt }) => attempt)).toEqual([1, 2]);
    await orchestrator.cancel(id);
    expect(await orchestrator.result(id)).toMatchObject({ status: 'cancelled' });
    expect(engine.faults).toEqual([]);
  });

  test('forgets what ended long ago', async () => {
    await using place = sqlitePlace();
    let nowMs = Date.now();
    const options = { now: () => nowMs, retentionMs: 60_000, leaseMs: 150 };
    const id = workflowId();
    {
      await using engine = await place.start(options);
      await engine.orchestrator.start('steps', { workflowId: id, input: { steps: 2 } });
      await engine.orchestrator.result(id);
    }
    nowMs += 61_000;
    await using engine = await place.start(options);
    await eventually(async () => (await engine.orchestrator.describe(id)) === null);
    const left = await engine.metadata.db.selectFrom('journal_entries').selectAll().execute();
    expect(left).toEqual([]);
  });
});

describe('two engines on one server', () => {
  test('an owner that is taken for dead is fenced, and the run ends elsewhere', async (context) => {
    const place = await postgresPlace();
    if (place === null) return context.skip();
    await using one = await place.start({ leaseMs: 3_600_000 });
    const id = workflowId();
    await one.orchestrator.start('cleanUp', { workflowId: id, input: { door: 'd' } });
    await eventually(() => one.recorder.running === 1);
    await using other = await place.start({ leaseMs: 3000 });
    // As if it had not beaten for long: whoever watches takes its runs.
    await eventually(() => other.recorder.running === 1);
    expect(other.recorder.calls[0]).toMatchObject({ attempt: 2, epoch: 2 });
    expect(other.recorder.calls[0]?.stepKey).toBe(one.recorder.calls[0]?.stepKey);
    one.recorder.open('d');
    // Its own result comes to nothing: the flow of the other one still waits.
    await eventually(() => one.orchestrator.loaded() === 0);
    expect((await other.orchestrator.describe(id))?.pending).toMatchObject([
      { kind: 'activity', name: 'behindDoor', attempt: 2 },
    ]);
    await one.orchestrator.cancel(id);
    expect(await one.orchestrator.result(id)).toMatchObject({ status: 'cancelled' });
    expect(other.recorder.aborts).toEqual(['flow_cancelled']);
  });

  test('one that is taken for dead takes nothing up', async (context) => {
    const place = await postgresPlace();
    if (place === null) return context.skip();
    await using one = await place.start({ leaseMs: 3_600_000 });
    await one.metadata.db.deleteFrom('journal_engines').execute();
    const id = workflowId();
    await one.orchestrator.start('cleanUp', { workflowId: id, input: { door: 'd' } });
    await using other = await place.start();
    await eventually(() => other.recorder.running === 1);
    expect(other.recorder.calls).toMatchObject([{ attempt: 1, epoch: 1 }]);
    expect(one.recorder.calls).toEqual([]);
    await one.orchestrator.cancel(id);
    expect(await one.orchestrator.result(id)).toMatchObject({ status: 'cancelled' });
  });

  test('a query is answered by either, a signal reaches the owner', async (context) => {
    const place = await postgresPlace();
    if (place === null) return context.skip();
    await using one = await place.start();
    const id = workflowId();
    await one.orchestrator.start('inbox', { workflowId: id, input: { count: 2 } });
    await eventually(() => one.orchestrator.loaded() === 1);
    await using other = await place.start();
    await other.orchestrator.signal(id, { name: 'letter', id: '1', payload: 'a' });
    await eventually(async () => {
      expect(await other.orchestrator.query(id, 'got')).toEqual(['a']);
      return true;
    });
    await other.orchestrator.signal(id, { name: 'letter', id: '2', payload: 'b' });
    expect(await other.orchestrator.result(id)).toMatchObject({ result: ['a', 'b'] });
  });
});
