// Executions: one runs and one waits, states never go back, lists and logs.
import { expect, it } from 'vitest';
import { putExecutionLayer, listExecutionLayers } from '../../src/metadata/execution-layers.ts';
import { type ExecutionFilter, listExecutions } from '../../src/metadata/execution-list.ts';
import { appendLogs, type LogLine, readLogs } from '../../src/metadata/execution-logs.ts';
import {
  claimExecution,
  endExecution,
  findExecution,
  noteRunId,
  openExecutions,
  startExecution,
  updateRunningExecution,
} from '../../src/metadata/executions.ts';
import { ExecutionLog } from '../../src/orchestration/activities/execution-log.ts';
import { deletePipeline, findPipeline } from '../../src/metadata/pipelines.ts';
import type { PageKey } from '../../src/metadata/page.ts';
import { aPipeline } from '../support/metadata-builders.ts';
import { describeEachStore, type Store } from '../support/metadata-stores.ts';

const line = (line_key: string, message: string): LogLine => ({
  line_key,
  message,
  timestamp: new Date().toISOString(),
  level: 'info',
  layer: null,
  fields: null,
});

async function aRunner({ db, organization }: Store) {
  const scope = await organization();
  const pipeline = await aPipeline(db, scope);
  const claim = () =>
    claimExecution(db, scope, {
      pipeline_id: pipeline.id,
      workflow: 'ETLWorkflow',
      trigger: 'api',
      parameters: '{}',
    });
  const start = (id: string) => startExecution(db, scope, { id, run_id: 'run' });
  const end = (id: string, status: 'completed' | 'failed' | 'cancelled') =>
    endExecution(db, scope, { id, status });
  return { db, scope, pipeline, claim, start, end };
}

const waits = { code: 'execution_waits' };

describeEachStore('executions', (of) => {
  it('has the id of its run, whether that is noted before, after or long after it began', async () => {
    const { db, scope, claim, end } = await aRunner(of());
    const runIdOf = async (id: string) => (await findExecution(db, scope, id))?.run_id;
    const begin = (id: string) => startExecution(db, scope, { id, run_id: null });
    const { execution: first } = await claim();
    await noteRunId(db, scope, { id: first.id, run_id: 'one' });
    await begin(first.id);
    expect(await runIdOf(first.id)).toBe('one');
    await end(first.id, 'completed');
    const { execution: second } = await claim();
    await begin(second.id);
    expect(await runIdOf(second.id)).toBeNull();
    await end(second.id, 'completed');
    await noteRunId(db, scope, { id: second.id, run_id: 'two' });
    expect(await runIdOf(second.id)).toBe('two');
    expect(await runIdOf(first.id)).toBe('one');
  });

  it('of a pipeline one runs, one waits, the next is refused', async () => {
    const { claim, start, end } = await aRunner(of());
    const first = await claim();
    expect(first).toMatchObject({ waits: false, execution: { status: 'scheduled' } });
    await start(first.execution.id);
    const second = await claim();
    expect(second).toMatchObject({ waits: true, execution: { status: 'scheduled' } });
    await expect(claim()).rejects.toMatchObject(waits);
    await expect(start(second.execution.id)).rejects.toMatchObject(waits);
    await end(first.execution.id, 'completed');
    await start(second.execution.id);
    expect(await claim()).toMatchObject({ waits: true });
  });

  it('that are claimed at once from two servers are still one and one', async () => {
    const store = of();
    const { db, scope, pipeline } = await aRunner(store);
    await using other = await store.again();
    const results = await Promise.allSettled(
      [db, other.db, db, other.db, db, other.db].map((through) =>
        claimExecution(through, scope, {
          pipeline_id: pipeline.id,
          workflow: 'ETLWorkflow',
          trigger: 'manual',
          parameters: '{}',
        }),
      ),
    );
    const waiting = results.flatMap((result) =>
      result.status === 'fulfilled' ? [result.value.waits] : [],
    );
    expect(waiting.toSorted((one, other) => Number(one) - Number(other))).toEqual([false, true]);
    const open = await openExecutions(db, scope, pipeline.id);
    const starts = await Promise.allSettled(
      open.flatMap(({ id }) =>
        [db, other.db].map((through) => startExecution(through, scope, { id, run_id: null })),
      ),
    );
    const changed = starts.filter((one) => one.status === 'fulfilled' && one.value.changed);
    expect(changed).toHaveLength(1);
    expect((await openExecutions(db, scope, pipeline.id)).map(({ status }) => status)).toEqual([
      'running',
      'scheduled',
    ]);
  });

  it('never go back, and end once', async () => {
    const { db, scope, claim, start, end } = await aRunner(of());
    const { id } = (await claim()).execution;
    expect(await end(id, 'completed')).toMatchObject({
      changed: false,
      execution: { status: 'scheduled' },
    });
    expect(await start(id)).toMatchObject({ changed: true, execution: { status: 'running' } });
    expect(await start(id)).toMatchObject({ changed: false, execution: { status: 'running' } });
    const ends = await Promise.all([end(id, 'completed'), end(id, 'failed'), end(id, 'cancelled')]);
    expect(ends.filter(({ changed }) => changed)).toHaveLength(1);
    const { status } = ends.find(({ changed }) => changed)?.execution ?? { status: null };
    for (const later of [await start(id), await end(id, 'failed'), await end(id, 'completed')])
      expect(later).toMatchObject({ changed: false, execution: { status } });
    expect(await updateRunningExecution(db, scope, { id, changes: { output: '{}' } })).toBe(false);
    expect((await findExecution(db, scope, id))?.output).toBeNull();
  });

  it('that wait can be cancelled, and the pipeline shows the last that ran', async () => {
    const { db, scope, pipeline, claim, start, end } = await aRunner(of());
    const { id } = (await claim()).execution;
    await start(id);
    const waiting = await claim();
    await end(waiting.execution.id, 'cancelled');
    expect(await findPipeline(db, scope, pipeline.id)).toMatchObject({
      last_run_status: 'running',
      version: 1,
    });
    await end(id, 'failed');
    const ended = await findExecution(db, scope, id);
    expect(ended?.duration_ms).toBeGreaterThanOrEqual(0);
    expect(await findPipeline(db, scope, pipeline.id)).toMatchObject({
      last_run_status: 'failed',
      last_run_at: ended?.started_at,
    });
  });

  it('keep their pipeline until they have ended, and outlive it', async () => {
    const { db, scope, pipeline, claim, end } = await aRunner(of());
    const { id } = (await claim()).execution;
    await expect(deletePipeline(db, scope, pipeline)).rejects.toMatchObject({ code: 'in_use' });
    await end(id, 'cancelled');
    await deletePipeline(db, scope, pipeline);
    expect(await findExecution(db, scope, id)).toMatchObject({ pipeline_name: pipeline.name });
    await expect(claim()).rejects.toMatchObject({ code: 'not_found' });
  });

  it('are found by every combination of filters, page by page', async () => {
    const { db, scope, pipeline, claim, start, end } = await aRunner(of());
    const days = ['2026-01-01', '2026-01-02', '2026-01-03'];
    const times = [...days.map((day) => `${day}T00:00:00.000Z`), '2026-01-03T23:59:59.999Z'];
    for (const [turn, time] of [...times, null].entries()) {
      const { id } = (await claim()).execution;
      if (time === null) continue;
      await start(id);
      await db.updateTable('executions').set({ started_at: time }).where('id', '=', id).execute();
      await end(id, turn % 2 === 0 ? 'completed' : 'failed');
    }
    const find = async (filter: ExecutionFilter) => {
      const found: string[] = [];
      let after: PageKey | null = null;
      do {
        const page: Awaited<ReturnType<typeof listExecutions>> = await listExecutions(
          db,
          scope,
          filter,
          { after, limit: 2 },
        );
        found.push(...page.rows.map(({ started_at }) => started_at ?? 'waits'));
        after = page.next;
      } while (after !== null);
      return found;
    };
    const [first = '', second = '', third = '', last = ''] = times;
    expect(await find({})).toEqual(['waits', last, third, second, first]);
    expect(await find({ status: 'failed' })).toEqual([last, second]);
    expect(await find({ dateFrom: '2026-01-02', dateTo: '2026-01-03' })).toEqual([
      last,
      third,
      second,
    ]);
    expect(await find({ dateTo: '2026-01-01' })).toEqual([first]);
    expect(await find({ dateFrom: '2026-01-04' })).toEqual([]);
    const all = { pipelineId: pipeline.id, status: 'completed', dateFrom: '2026-01-02' } as const;
    expect(await find(all)).toEqual([third]);
    expect(await find({ ...all, pipelineId: 'another' })).toEqual([]);
  });

  it('have a state per layer, of which what is not said stays', async () => {
    const { db, scope, claim } = await aRunner(of());
    const { id } = (await claim()).execution;
    for (const layer of ['gold', 'silver', 'bronze'] as const)
      await putExecutionLayer(db, scope, id, { layer, status: 'pending' });
    await putExecutionLayer(db, scope, id, { layer: 'silver', status: 'running', records: 12 });
    await putExecutionLayer(db, scope, id, { layer: 'silver', status: 'completed' });
    const rows = await listExecutionLayers(db, scope, [id]);
    expect(rows.map(({ layer, status, records }) => [layer, status, records])).toEqual([
      ['bronze', 'pending', null],
      ['silver', 'completed', 12],
      ['gold', 'pending', null],
    ]);
  });

  it('log a line once, and are read on after an id', async () => {
    const { db, scope, claim } = await aRunner(of());
    const { id } = (await claim()).execution;
    await appendLogs(db, scope, id, [line('a', 'one'), line('b', 'two')]);
    await appendLogs(db, scope, id, [line('b', 'again'), line('c', 'three')]);
    await appendLogs(db, scope, id, []);
    const [first, ...rest] = await readLogs(db, scope, id, { after: 0, limit: 10 });
    expect([first, ...rest].map((row) => row?.message)).toEqual(['one', 'two', 'three']);
    const later = await readLogs(db, scope, id, { after: first?.id ?? 0, limit: 1 });
    expect(later.map(({ message }) => message)).toEqual(['two']);
  });

  it('log 5,000 lines in one call', async () => {
    const { db, scope, claim } = await aRunner(of());
    const { id } = (await claim()).execution;
    const lines = Array.from({ length: 5000 }, (_, number) => line(`${number}`, `line ${number}`));
    await appendLogs(db, scope, id, lines);
    const read = await readLogs(db, scope, id, { after: 0, limit: 10_000 });
    expect(read.map(({ message }) => message)).toEqual(lines.map(({ message }) => message));
  });

  it('keep the lines that come while others are written', async () => {
    const { db, scope, claim } = await aRunner(of());
    const { id, pipeline_id: pipelineId } = (await claim()).execution;
    const ref = { organizationId: scope.organizationId, pipelineId, executionId: id };
    const place = { layer: null, context: { stepKey: 'step' } };
    const said: string[] = [];
    {
      await using log = new ExecutionLog({ metadata: { db } }, ref, place);
      log.add('info', 'first');
      const written = log.flush();
      // One at each turn of the loop, until the first is written: some come in the middle of it.
      let isWritten = false;
      void written.then(() => (isWritten = true));
      while (!isWritten) {
        said.push(`later ${said.length}`);
        log.add('info', said.at(-1) ?? '');
        await new Promise(setImmediate);
      }
    }
    const read = await readLogs(db, scope, id, { after: 0, limit: 100_000 });
    expect(read.map(({ message }) => message)).toEqual(['first', ...said]);
  });
});
