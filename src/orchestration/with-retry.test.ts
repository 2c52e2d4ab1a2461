import { describe, expect, it } from 'vitest';
import { ForebayError } from '../core/errors.ts';
import type { ActivityContext, FlowContext, Json } from './flow.ts';
import { FlowMachine } from './embedded/machine.ts';
import { failed } from './embedded/step.ts';
import { DEFAULT_RULES } from './retry-decision.ts';
import { type RetryNotice, withRetry } from './with-retry.ts';

type Activities = { pull(input: Json, context: ActivityContext): Promise<Json> };
type Script = readonly { readonly error?: ForebayError; readonly progress?: Json }[];

const lost = (): ForebayError => new ForebayError('connection_lost', { message: 'gone' });

/** Runs one step over a script of answers. */
async function play(script: Script, version = 1) {
  const waits: number[] = [];
  const notices: RetryNotice[] = [];
  const tries: (Json | undefined)[][] = [];
  const asked: { seq: number; kind: string; ms: number | null }[] = [];
  const machine = new FlowMachine({
    flow: (ctx: FlowContext<Activities>) =>
      withRetry(ctx, DEFAULT_RULES, {
        name: 'pull',
        input: null,
        onRetry: (notice) => void notices.push(notice),
      }),
    input: null,
    workflowId: 'w',
    runId: 'r',
    startedAtMs: 0,
    onVersion: () => version,
    onCommand: ({ seq, kind, waitMs, options }) => {
      asked.push({ seq, kind, ms: waitMs });
      if (kind === 'activity') tries.push([options.stepKey, options.lastHeartbeat]);
    },
  });
  await machine.start();
  let nowMs = 0;
  let answered = 0;
  while (machine.ending === null) {
    const next = asked.shift();
    if (next === undefined) throw new Error('the flow asks for nothing');
    if (next.kind === 'timer') {
      nowMs += next.ms ?? 0;
      waits.push(next.ms ?? 0);
      await machine.deliver(next.seq, { ok: true, result: null }, nowMs);
      continue;
    }
    const { error, progress } = script[answered] ?? {};
    answered += 1;
    const answer = error === undefined ? ({ ok: true, result: 'done' } as const) : failed(error);
    if (!answer.ok && progress !== undefined) answer.failure.progress = progress;
    await machine.deliver(next.seq, answer, nowMs);
  }
  return { waits, notices, tries, ending: machine.ending };
}

describe('a step with retries', () => {
  it('waits durably between its attempts and tells each', async () => {
    const { waits, notices, ending } = await play([{ error: lost() }, { error: lost() }, {}]);
    expect(ending).toEqual({ kind: 'completed', result: '"done"' });
    expect(waits).toEqual([1000, 2000]);
    expect(notices).toMatchObject([
      { attempt: 1, budget: 'network', nextTryAt: '1970-01-01T00:00:01.000Z' },
      { attempt: 2, delayMs: 2000, nextTryAt: '1970-01-01T00:00:03.000Z' },
    ]);
    expect(notices[0]?.cause).toMatchObject({ code: 'connection_lost', message: 'gone' });
  });

  it('gives up with the last failure', async () => {
    const { waits, ending } = await play(Array.from({ length: 6 }, () => ({ error: lost() })));
    expect(waits).toEqual([1000, 2000, 4000, 8000, 16_000]);
    expect(ending).toMatchObject({ kind: 'failed', failure: { code: 'connection_lost' } });
  });

  it('begins its budgets anew after progress, and goes on from there under the same key', async () => {
    const script = [
      { error: lost() },
      { error: lost(), progress: { page: 1 } },
      { error: lost(), progress: { page: 1 } },
      {},
    ];
    const { waits, tries } = await play(script);
    expect(waits).toEqual([1000, 1000, 2000]);
    expect(tries.map(([, heartbeat]) => heartbeat)).toEqual([
      undefined,
      undefined,
      { page: 1 },
      { page: 1 },
    ]);
    expect(new Set(tries.map(([key]) => key)).size).toBe(1);
  });

  it('waits for a file that another process holds, unless its history did not', async () => {
    const error = new ForebayError('file_locked', { message: 'held' });
    const waited = await play([{ error }, { error }, {}]);
    expect(waited.waits).toEqual([1000, 2000]);
    expect(waited.ending).toMatchObject({ kind: 'completed' });
    const before = await play([{ error }], 0);
    expect(before.waits).toEqual([]);
    expect(before.ending).toMatchObject({ kind: 'failed', failure: { code: 'file_locked' } });
  });

  it('waits for no failure that time does not mend', async () => {
    const error = new ForebayError('table_missing', { message: 'no such table' });
    const { waits, ending } = await play([{ error }]);
    expect(waits).toEqual([]);
    expect(ending).toMatchObject({ kind: 'failed', failure: { code: 'table_missing' } });
  });
});
