import { expect, it } from 'vitest';
import { ForebayError } from '../../core/errors.ts';
import { FlowMachine } from '../embedded/machine.ts';
import { failed } from '../embedded/step.ts';
import type { FlowContext } from '../flow.ts';
import type { FlowActivities, RetryPlan } from './activities.ts';
import { retried } from './execution-steps.ts';

const ref = { organizationId: 'o', pipelineId: 'p', executionId: 'e' };
const fallback = { maxAttempts: 2, initialDelayMs: 70, maxDelayMs: 70, multiplier: 1 };

/** How long the step was waited for, if each try ends so. */
async function waitsOf(retry: RetryPlan | null, code: 'conflict' | 'unreachable') {
  const waits: number[] = [];
  const asked: { seq: number; kind: string; ms: number | null; name: string | null }[] = [];
  const machine = new FlowMachine({
    flow: (ctx: FlowContext<FlowActivities>) =>
      retried(ctx, { ref, retry, layer: 'silver' }, 'silver', ref),
    input: null,
    workflowId: 'w',
    runId: 'r',
    startedAtMs: 0,
    onVersion: () => 1,
    onCommand: ({ seq, kind, waitMs, name }) => {
      asked.push({ seq, kind, ms: waitMs, name });
    },
  });
  await machine.start();
  for (let step = asked.shift(); step !== undefined; step = asked.shift()) {
    const { seq, kind, ms, name } = step;
    const isTry = kind === 'activity' && name === 'silver';
    if (kind === 'timer') waits.push(ms ?? 0);
    const error = new ForebayError(code, { message: 'again' });
    await machine.deliver(seq, isTry ? failed(error) : { ok: true, result: null }, 0);
  }
  return waits;
}

it('the server says how often is tried what the table of retries does not name', async () => {
  expect(await waitsOf({ fallback, own: null }, 'conflict')).toEqual([70]);
  expect(await waitsOf({ fallback, own: null }, 'unreachable')).toEqual([
    1000, 2000, 4000, 8000, 16_000,
  ]);
  expect(await waitsOf(null, 'conflict')).toEqual([1000, 2000, 4000, 8000]);
});

it('the policy of a pipeline goes before both', async () => {
  const own = { ...fallback, initialDelayMs: 5, permanentCodes: [] };
  expect(await waitsOf({ fallback, own }, 'conflict')).toEqual([5]);
  expect(await waitsOf({ fallback, own }, 'unreachable')).toEqual([5]);
  const plan = { fallback, own: { ...own, permanentCodes: ['unreachable'] } };
  expect(await waitsOf(plan, 'unreachable')).toEqual([]);
});
