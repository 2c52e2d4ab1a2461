// Flows that every engine is tried with. They run in Temporal's sandbox, too: no input and output here.
import { ForebayError } from '../../src/core/errors.ts';
import { ActivityFailure } from '../../src/orchestration/failure.ts';
import type { Activity, FlowContext, FlowMap, Json } from '../../src/orchestration/flow.ts';

type Name = 'echo' | 'append' | 'fail' | 'behindDoor' | 'large';
export type TestActivities = Readonly<Record<Name, Activity>>;

type Ctx = FlowContext<TestActivities>;
const name = (error: unknown): Json =>
  error instanceof ForebayError ? { code: error.code } : { code: String(error) };

async function stepsFlow(ctx: Ctx, { steps }: { steps: number }): Promise<Json> {
  let sum = 0;
  for (let step = 1; step <= steps; step += 1) sum += Number(await ctx.run('echo', step));
  return sum;
}

async function fanOutFlow(ctx: Ctx, { items, limit }: { items: number; limit: number }) {
  const list = Array.from({ length: items }, (_, index) => index);
  const settled = await ctx.all(list, limit, async (item) => {
    if (item === 3) return ctx.run('fail', { code: 'value_rejected' });
    const first = await ctx.run('echo', item);
    return ctx.run('echo', Number(first) * 10);
  });
  return settled.map((one) => (one.status === 'fulfilled' ? (one.value as Json) : one.error.code));
}

async function inboxFlow(ctx: Ctx, { count }: { count: number }): Promise<Json> {
  const got: Json[] = [];
  ctx.query('got', () => got);
  while (got.length < count) got.push(await ctx.signal('letter'));
  return got;
}

async function cleanUpFlow(ctx: Ctx, { door }: { door: string }): Promise<Json> {
  try {
    await ctx.run('behindDoor', { door });
    await ctx.sleep(60_000);
    return 'not cancelled';
  } finally {
    await ctx.uncancelled(async () => ctx.run('echo', 'cleaned up'));
  }
}

async function countdownFlow(
  ctx: Ctx,
  { left, seen }: { left: number; seen: Json[] },
): Promise<Json> {
  const letter = await ctx.signal('letter');
  const all = [...seen, letter];
  if (left > 1) return ctx.continueAsNew({ left: left - 1, seen: all });
  return all;
}

async function parentFlow(ctx: Ctx, { child, input }: { child: string; input: Json }) {
  try {
    return { child: await ctx.child(child, input, { workflowId: `${ctx.workflowId}/child` }) };
  } catch (error) {
    return name(error);
  }
}

async function failingFlow(ctx: Ctx): Promise<Json> {
  try {
    await ctx.run('fail', { code: 'connection_lost' });
    return null;
  } catch (error) {
    if (!(error instanceof ActivityFailure)) throw error;
    const { code, systemCode, why, progress } = error;
    return { code, systemCode, why, progress, class: error.class };
  }
}

async function timesFlow(ctx: Ctx): Promise<Json> {
  const first = [ctx.now(), ctx.uuid(), ctx.uuid()];
  await ctx.sleep(30);
  await ctx.signal('go');
  return { first, later: [ctx.now(), ctx.uuid()] };
}

async function raceFlow(ctx: Ctx): Promise<Json> {
  return ctx.signal('never', { timeoutMs: 50 });
}

async function sleepFlow(ctx: Ctx, { ms }: { ms: number }): Promise<Json> {
  await ctx.sleep(ms);
  return 'awake';
}

async function timeoutFlow(ctx: Ctx): Promise<Json> {
  try {
    await ctx.run('behindDoor', { door: 'never' }, { timeoutMs: 100 });
    return null;
  } catch (error) {
    return name(error);
  }
}

async function largeFlow(ctx: Ctx): Promise<Json> {
  const codes: Json[] = [];
  for (const act of [() => ctx.run('large', null), () => ctx.run('echo', 'y'.repeat(70_000))]) {
    try {
      await act();
    } catch (error) {
      codes.push(name(error));
    }
  }
  return codes;
}

async function versionFlow(ctx: Ctx): Promise<Json> {
  const before = ctx.version('change');
  await ctx.signal('go');
  return [before, ctx.version('change'), ctx.version('other')];
}

async function appendFlow(ctx: Ctx, { file, steps }: { file: string; steps: number }) {
  for (let step = 1; step <= steps; step += 1)
    await ctx.run('append', { file, line: `${ctx.workflowId}#${step}` });
  await ctx.all(['a', 'b', 'c'], 2, (line) =>
    ctx.run('append', { file, line: `${ctx.workflowId}#${line}` }),
  );
  await ctx.sleep(5);
  const child = { file, line: `${ctx.workflowId}#child` };
  await ctx.child('appendOne', child, { workflowId: `${ctx.workflowId}/child` });
  return 'done';
}

async function appendOneFlow(ctx: Ctx, input: Json): Promise<Json> {
  await ctx.run('append', input);
  return null;
}

async function throwingFlow(): Promise<Json> {
  throw new ForebayError('value_rejected', { message: 'the flow gave up' });
}

export const FLOWS = {
  steps: stepsFlow,
  fanOut: fanOutFlow,
  inbox: inboxFlow,
  cleanUp: cleanUpFlow,
  countdown: countdownFlow,
  parent: parentFlow,
  failing: failingFlow,
  times: timesFlow,
  race: raceFlow,
  sleep: sleepFlow,
  timeout: timeoutFlow,
  large: largeFlow,
  version: versionFlow,
  append: appendFlow,
  appendOne: appendOneFlow,
  throwing: throwingFlow,
} satisfies Record<string, unknown> as FlowMap;
