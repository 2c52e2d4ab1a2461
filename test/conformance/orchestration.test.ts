// What a flow may rely on, on every engine.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { Json } from '../../src/orchestration/flow.ts';
import type { FlowOutcome } from '../../src/orchestration/orchestrator.ts';
import { type Subject, subjects, workflowId } from '../support/orchestration-subject.ts';
import { eventually } from '../support/wait.ts';

describe.each(subjects)('orchestration, $name', (kind) => {
  let subject: Subject | null;
  beforeAll(async () => {
    subject = await kind.open();
  });
  afterAll(async () => {
    await subject?.[Symbol.asyncDispose]();
  });

  const it = (name: string, act: (subject: Subject) => Promise<void>): void =>
    test(name, async (context) => {
      if (subject === null) return context.skip();
      await act(subject);
    });

  const run = async (
    { orchestrator }: Subject,
    flow: string,
    input: Json,
    id = workflowId(),
  ): Promise<FlowOutcome> => {
    await orchestrator.start(flow, { workflowId: id, input });
    return orchestrator.result(id);
  };

  it('runs activities one after the other and answers their results', async (on) => {
    expect(await run(on, 'steps', { steps: 10 })).toEqual({ status: 'completed', result: 55 });
  });

  it('fans out up to a limit, and one that fails ends no other', async (on) => {
    const { result } = (await run(on, 'fanOut', { items: 8, limit: 3 })) as { result: Json };
    expect(result).toEqual([0, 10, 20, 'value_rejected', 40, 50, 60, 70]);
  });

  it('hands a failure on with its code, its cause and the last heartbeat', async (on) => {
    expect(await run(on, 'failing', null)).toEqual({
      status: 'completed',
      result: {
        code: 'connection_lost',
        class: 'transient',
        systemCode: '08006',
        why: 'because',
        progress: { at: 1 },
      },
    });
  });

  it('a flow that throws has failed', async (on) => {
    expect(await run(on, 'throwing', null)).toMatchObject({
      status: 'failed',
      error: { code: 'value_rejected', message: 'the flow gave up' },
    });
  });

  it('takes signals in the order in which they came, each id once, and answers queries', async (on) => {
    const id = workflowId();
    await on.orchestrator.start('inbox', { workflowId: id, input: { count: 3 } });
    const send = (letter: string, payload: Json): Promise<void> =>
      on.orchestrator.signal(id, { name: 'letter', id: letter, payload });
    await send('1', 'one');
    await send('1', 'one');
    await send('2', { two: 2 });
    await eventually(async () => {
      expect(await on.orchestrator.query(id, 'got')).toEqual(['one', { two: 2 }]);
      return true;
    });
    await on.orchestrator.signal(id, { name: 'other', id: '2b', payload: null });
    await send('3', 3);
    expect(await on.orchestrator.result(id)).toEqual({
      status: 'completed',
      result: ['one', { two: 2 }, 3],
    });
  });

  it('what is asked of a workflow or a query that is not there is told so', async (on) => {
    const letter = { name: 'letter', id: '1', payload: null };
    await expect(on.orchestrator.signal(workflowId(), letter)).rejects.toMatchObject({
      code: 'not_found',
    });
    expect(await on.orchestrator.describe(workflowId())).toBeNull();
    const id = workflowId();
    await on.orchestrator.start('inbox', { workflowId: id, input: { count: 1 } });
    await expect(on.orchestrator.query(id, 'nothing')).rejects.toMatchObject({ code: 'not_found' });
    await on.orchestrator.cancel(id);
  });

  it('one run of a workflow is open at a time', async (on) => {
    const id = workflowId();
    await on.orchestrator.start('inbox', { workflowId: id, input: { count: 1 } });
    await expect(
      on.orchestrator.start('inbox', { workflowId: id, input: { count: 1 } }),
    ).rejects.toMatchObject({ code: 'workflow_exists' });
    await on.orchestrator.cancel(id);
    expect(await on.orchestrator.result(id)).toMatchObject({ status: 'cancelled' });
    expect(await run(on, 'steps', { steps: 1 }, id)).toEqual({ status: 'completed', result: 1 });
  });

  it('a wait for a signal ends after its time', async (on) => {
    expect(await run(on, 'race', null)).toEqual({ status: 'completed', result: null });
  });

  it('a cancelled flow has its activity aborted and cleans up', async (on) => {
    const id = workflowId();
    const before = on.recorder.aborts.length;
    await on.orchestrator.start('cleanUp', { workflowId: id, input: { door: id } });
    await eventually(() =>
      on.recorder.inputsOf('behindDoor').some((i) => JSON.stringify(i).includes(id)),
    );
    await on.orchestrator.cancel(id);
    expect(await on.orchestrator.result(id)).toMatchObject({
      status: 'cancelled',
      error: { code: 'flow_cancelled' },
    });
    expect(on.recorder.aborts.slice(before)).toEqual(['flow_cancelled']);
    expect(on.recorder.inputsOf('echo')).toContain('cleaned up');
  });

  it('continues as new with what was not taken', async (on) => {
    const id = workflowId();
    await on.orchestrator.start('countdown', { workflowId: id, input: { left: 3, seen: [] } });
    for (const letter of ['a', 'b', 'c'])
      await on.orchestrator.signal(id, { name: 'letter', id: letter, payload: letter });
    expect(await on.orchestrator.result(id)).toEqual({
      status: 'completed',
      result: ['a', 'b', 'c'],
    });
  });

  it('children give their results and failures to the parent', async (on) => {
    expect(await run(on, 'parent', { child: 'steps', input: { steps: 3 } })).toMatchObject({
      result: { child: 6 },
    });
    expect(await run(on, 'parent', { child: 'throwing', input: null })).toMatchObject({
      result: { code: 'value_rejected' },
    });
  });

  it('a cancelled parent cancels its child and waits for it', async (on) => {
    const id = workflowId();
    const input = { child: 'cleanUp', input: { door: id } };
    await on.orchestrator.start('parent', { workflowId: id, input });
    await eventually(() =>
      on.recorder.inputsOf('behindDoor').some((i) => JSON.stringify(i).includes(id)),
    );
    await on.orchestrator.cancel(id);
    expect(await on.orchestrator.result(id)).toMatchObject({
      status: 'completed',
      result: { code: 'flow_cancelled' },
    });
    expect(await on.orchestrator.result(`${id}/child`)).toMatchObject({ status: 'cancelled' });
  });

  it('an activity that takes too long is aborted', async (on) => {
    expect(await run(on, 'timeout', null)).toMatchObject({ result: { code: 'activity_timeout' } });
  });

  it('payloads are small and JSON', async (on) => {
    const result = { result: [{ code: 'flow_payload' }, { code: 'flow_payload' }] };
    expect(await run(on, 'large', null)).toMatchObject(result);
    await expect(
      on.orchestrator.start('steps', { workflowId: workflowId(), input: 'x'.repeat(70_000) }),
    ).rejects.toMatchObject({ code: 'flow_payload' });
  });

  it('time and ids are the same when a flow is replayed', async (on) => {
    const id = workflowId();
    await on.orchestrator.start('times', { workflowId: id, input: null });
    await eventually(async () => {
      const description = await on.orchestrator.describe(id);
      expect(description?.pending.map(({ kind }) => kind)).toEqual(['signal']);
      return true;
    });
    await on.restart();
    await on.orchestrator.signal(id, { name: 'go', id: '1', payload: null });
    const outcome = await on.orchestrator.result(id);
    if (outcome.status !== 'completed') throw new Error(outcome.error.message);
    const { first, later } = outcome.result as unknown as { first: Json[]; later: Json[] };
    const [begun, one, other] = first;
    expect(Number(later[0]) - Number(begun)).toBeGreaterThanOrEqual(30);
    expect(new Set([one, other, later[1]]).size).toBe(3);
    for (const uuid of [one, other, later[1]]) expect(uuid).toMatch(/^[\da-f]{8}-[\da-f]{4}-7/);
  });

  it('runs that are new pass the new way', async (on) => {
    const id = workflowId();
    await on.orchestrator.start('version', { workflowId: id, input: null });
    await eventually(async () => {
      expect((await on.orchestrator.describe(id))?.pending).toHaveLength(1);
      return true;
    });
    await on.restart();
    await on.orchestrator.signal(id, { name: 'go', id: '1', payload: null });
    expect(await on.orchestrator.result(id)).toEqual({ status: 'completed', result: [1, 1, 1] });
  });

  it('an activity that a stopping worker gives back is done again, as the same attempt', async (on) => {
    const id = workflowId();
    await on.orchestrator.start('cleanUp', { workflowId: id, input: { door: id } });
    const mine = () => on.recorder.calls.filter((call) => JSON.stringify(call.input).includes(id));
    await eventually(() => mine().length === 1);
    await on.restart();
    await eventually(() => mine().length === 2);
    expect(mine().map(({ attempt }) => attempt)).toEqual([1, 1]);
    expect(new Set(mine().map(({ stepKey }) => stepKey)).size).toBe(1);
    await on.orchestrator.cancel(id);
    await on.orchestrator.result(id);
  });
});
