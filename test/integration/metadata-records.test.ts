// What is told of what happened: audit log, events and their deliveries, quality, dead letters, checkpoints, lineage.
import { expect, it } from 'vitest';
import { appendAudit, listAudit, verifyAudit } from '../../src/metadata/audit-log.ts';
import { listCheckpoints, putCheckpoint } from '../../src/metadata/checkpoints.ts';
import { listColumnLineage, recordColumnLineage } from '../../src/metadata/column-lineage.ts';
import {
  countOpenLetters,
  findDeadLetter,
  indexDeadLetters,
  indexedLetters,
  listDeadLetters,
  openLetters,
  settleDeadLetters,
} from '../../src/metadata/dead-letters.ts';
import {
  forgetEvents,
  postponeDelivery,
  registerPublisher,
  settleDelivery,
  takeDeliveries,
} from '../../src/metadata/event-deliveries.ts';
import {
  appendEvents,
  lastEventId,
  outboxIdOf,
  readEvents,
} from '../../src/metadata/events-outbox.ts';
import type { MetadataDb } from '../../src/metadata/database.ts';
import {
  type QualityMetric,
  qualitySummary,
  recordQualityMetrics,
} from '../../src/metadata/quality-metrics.ts';
import type { OrganizationScope } from '../../src/metadata/scope.ts';
import { aPipeline, freshName } from '../support/metadata-builders.ts';
import { describeEachStore } from '../support/metadata-stores.ts';

function audit(db: MetadataDb, scope: OrganizationScope, action: string): Promise<void> {
  return db.transaction().execute((transaction) =>
    appendAudit(transaction, scope, {
      actor: 'system',
      action,
      resource_type: 'connection',
      resource_id: null,
      details: null,
      address: '127.0.0.1',
    }),
  );
}

function tell(db: MetadataDb, scope: OrganizationScope, ...subjects: string[]): Promise<void> {
  const events = subjects.map((subject) => ({ type: 'execution.started', subject, data: '{}' }));
  return db.transaction().execute((transaction) => appendEvents(transaction, scope, events));
}

const metric = (content: Partial<QualityMetric>): QualityMetric => ({
  rule: null,
  metric_type: 'total_records',
  count: 0,
  severity: 'info',
  details: null,
  ...content,
});

describeEachStore('audit log', (of) => {
  it('is one chain, also of those who write at once', async () => {
    const { db, organization } = of();
    const [scope, other] = [await organization(), await organization()];
    const actions = Array.from({ length: 12 }, (_, number) => `change ${number}`);
    await Promise.all(actions.map((action) => audit(db, scope, action)));
    await audit(db, other, 'elsewhere');
    expect(await verifyAudit(db, scope)).toMatchObject({ rows: 12, brokenAt: null });
    const [newest] = await listAudit(db, scope, { before: null, limit: 1 });
    const rest = await listAudit(db, scope, { before: newest?.id ?? 0, limit: 100 });
    expect([newest, ...rest].map((row) => row?.action ?? '').sort()).toEqual(actions.sort());
  });

  it('shows a row that was changed, taken out or put in, and a tail that was cut off', async () => {
    const { db, organization } = of();
    const three = async () => {
      const scope = await organization();
      for (const action of ['one', 'two', 'three']) await audit(db, scope, action);
      const [third, second] = await listAudit(db, scope, { before: null, limit: 2 });
      if (third === undefined || second === undefined) throw new Error('no rows');
      return { scope, second, third };
    };
    const changed = await three();
    await db
      .updateTable('audit_log')
      .set({ action: 'nothing' })
      .where('id', '=', changed.second.id)
      .execute();
    expect(await verifyAudit(db, changed.scope)).toMatchObject({
      rows: 1,
      brokenAt: changed.second.id,
    });
    const taken = await three();
    await db.deleteFrom('audit_log').where('id', '=', taken.second.id).execute();
    expect(await verifyAudit(db, taken.scope)).toMatchObject({ rows: 1, brokenAt: taken.third.id });
    const put = await three();
    const { id: _, ...copy } = put.third;
    await db.insertInto('audit_log').values(copy).execute();
    expect(await verifyAudit(db, put.scope)).toMatchObject({ rows: 3 });
    expect((await verifyAudit(db, put.scope)).brokenAt).not.toBeNull();
    const cut = await three();
    const { head } = await verifyAudit(db, cut.scope);
    await db.deleteFrom('audit_log').where('id', '=', cut.third.id).execute();
    expect(await verifyAudit(db, cut.scope)).toMatchObject({ rows: 2, brokenAt: null });
    expect((await verifyAudit(db, cut.scope)).head).not.toBe(head);
  });

  it('has no row of a change that was not made', async () => {
    const { db, organization } = of();
    const scope = await organization();
    const failing = db.transaction().execute(async (transaction) => {
      await appendAudit(transaction, scope, {
        actor: 'system',
        action: 'x',
        resource_type: 'y',
        resource_id: null,
        details: null,
        address: null,
      });
      throw new Error('undone');
    });
    await expect(failing).rejects.toThrow('undone');
    expect(await verifyAudit(db, scope)).toMatchObject({ rows: 0, brokenAt: null });
  });
});

describeEachStore('events', (of) => {
  it('are read after the last one, by id or by CloudEvents id, and by nobody else', async () => {
    const { db, organization } = of();
    const [scope, other] = [await organization(), await organization()];
    await tell(db, scope, 'a', 'b', 'c');
    await tell(db, other, 'd');
    const [first, ...rest] = await readEvents(db, scope, { after: 0, limit: 10 });
    expect(rest.map(({ subject }) => subject)).toEqual(['b', 'c']);
    expect(await outboxIdOf(db, scope, first?.event_id ?? '')).toBe(first?.id);
    expect(await outboxIdOf(db, other, first?.event_id ?? '')).toBeNull();
    expect(await lastEventId(db, scope)).toBe(rest.at(-1)?.id);
    expect(await readEvents(db, scope, { after: first?.id ?? 0, limit: 1 })).toMatchObject([
      { subject: 'b' },
    ]);
  });

  it('are missed by no reader, however slowly some are committed', async () => {
    const { db, organization } = of();
    const scope = await organization();
    const writers = Array.from({ length: 20 }, (_, number) =>
      db.transaction().execute(async (transaction) => {
        await appendEvents(transaction, scope, [
          { type: 'execution.started', subject: `${number}`, data: '{}' },
        ]);
        // Some hold their number for a while before it is seen.
        for (let turn = 0; turn < (number % 4) * 3; turn += 1)
          await transaction.selectFrom('organizations').select('id').execute();
      }),
    );
    const seen: string[] = [];
    let after = 0;
    const read = async () => {
      for (const event of await readEvents(db, scope, { after, limit: 100 })) {
        seen.push(event.subject);
        after = event.id;
      }
    };
    let isDone = false;
    const written = Promise.all(writers).then(() => {
      isDone = true;
    });
    while (!isDone) await read();
    await written;
    await read();
    expect(seen.toSorted((one, other) => Number(one) - Number(other))).toEqual(
      Array.from({ length: 20 }, (_, number) => `${number}`),
    );
  });

  it('go to each publisher until it has settled them', async () => {
    const { db, organization } = of();
    const scope = await organization();
    await tell(db, scope, 'before');
    const publisher = freshName('webhook');
    await registerPublisher(db, publisher);
    await tell(db, scope, 'x', 'y', 'z');
    await registerPublisher(db, publisher);
    const take = async (nowMs: number, limit = 10) =>
      takeDeliveries(db, { publisher, limit, leaseMs: 1000, nowMs });
    const [x, y] = await take(0, 2);
    if (x === undefined || y === undefined) throw new Error('nothing taken');
    expect([x, y].map(({ event }) => event.subject)).toEqual(['x', 'y']);
    const [z] = await take(0);
    expect(z).toMatchObject({ event: { subject: 'z' }, attempts: 1 });
    expect(await take(999)).toEqual([]);
    await settleDelivery(db, { publisher, outboxId: x.event.id });
    await postponeDelivery(db, {
      publisher,
      outboxId: y.event.id,
      error: 'HTTP 500',
      nextAttemptAt: new Date(5000).toISOString(),
    });
    // Whoever had z is gone: its lease has run out.
    expect(await take(1000)).toMatchObject([{ event: { subject: 'z' }, attempts: 2 }]);
    await postponeDelivery(db, {
      publisher,
      outboxId: z?.event.id ?? 0,
      error: 'HTTP 410',
      nextAttemptAt: null,
    });
    expect(await take(5000)).toMatchObject([{ event: { subject: 'y' }, attempts: 2 }]);
    const another = await takeDeliveries(db, {
      publisher: freshName('kafka'),
      limit: 100,
      leaseMs: 1,
    });
    expect(another.map(({ event }) => event.subject)).toContain('before');
  });

  it('are taken by one of several servers', async () => {
    const store = of();
    const { db } = store;
    const scope = await store.organization();
    await using other = await store.again();
    const publisher = freshName('nats');
    await registerPublisher(db, publisher);
    const subjects = Array.from({ length: 30 }, (_, number) => `${number}`);
    await tell(db, scope, ...subjects);
    const taken = await Promise.all(
      [db, other.db, db, other.db, db, other.db].map((through) =>
        takeDeliveries(through, { publisher, limit: 5, leaseMs: 60_000 }),
      ),
    );
    expect(
      taken
        .flat()
        .map(({ event }) => event.subject)
        .sort(),
    ).toEqual(subjects.sort());
  });

  it('are forgotten when they are old and nobody still has to send them', async () => {
    const { db, organization } = of();
    const scope = await organization();
    const publisher = freshName('slow');
    await registerPublisher(db, publisher);
    await tell(db, scope, 'sent', 'unsent');
    // Those of other tests are not of interest.
    await db.deleteFrom('event_deliveries').where('publisher', '!=', publisher).execute();
    const [sent, unsent] = await takeDeliveries(db, { publisher, limit: 10, leaseMs: 1 });
    await settleDelivery(db, { publisher, outboxId: sent?.event.id ?? 0 });
    await forgetEvents(db, '9999');
    const left = await readEvents(db, scope, { after: 0, limit: 10 });
    expect(left.map(({ subject }) => subject)).toEqual(['unsent']);
    await settleDelivery(db, { publisher, outboxId: unsent?.event.id ?? 0 });
    await forgetEvents(db, '9999');
    await tell(db, scope, 'next');
    const next = await takeDeliveries(db, { publisher, limit: 10, leaseMs: 1 });
    expect(next.map(({ event }) => event.subject)).toEqual(['next']);
  });
});

describeEachStore('quality', (of) => {
  it('is what was recorded since, and counts a step that is repeated once', async () => {
    const { db, organization } = of();
    const scope = await organization();
    const [one, other] = [
      await aPipeline(db, scope, { name: 'b' }),
      await aPipeline(db, scope, { name: 'a' }),
    ];
    const record = (pipelineId: string, at: string, metrics: readonly QualityMetric[]) =>
      recordQualityMetrics(
        db,
        scope,
        { pipelineId, executionId: `of ${pipelineId}`, layer: 'silver', stream: 'orders' },
        { metrics, at },
      );
    const metrics = [
      metric({ count: 125_000 }),
      metric({ metric_type: 'valid_records', count: 124_850 }),
      metric({ rule: 'r1', metric_type: 'missing_fields', count: 100, severity: 'filter' }),
      metric({ rule: 'r2', metric_type: 'invalid_types', count: 50, severity: 'fail' }),
      metric({ rule: 'r3', metric_type: 'out_of_range', count: 7, severity: 'warn' }),
    ];
    const at = '2026-01-02T00:00:00.000Z';
    await record(one.id, at, metrics);
    await record(one.id, at, metrics);
    await record(other.id, '2026-01-01T23:59:59.999Z', metrics);
    expect(await qualitySummary(db, await organization(), at)).toMatchObject({
      totalRecords: 0,
      score: null,
      byPipeline: [],
    });
    expect(await qualitySummary(db, scope, at)).toEqual({
      totalRecords: 125_000,
      validRecords: 124_850,
      score: 99.88,
      missingFields: 100,
      invalidTypes: 50,
      duplicates: 0,
      issues: 157,
      byPipeline: [
        {
          pipelineId: one.id,
          pipelineName: 'b',
          totalRecords: 125_000,
          validRecords: 124_850,
          score: 99.88,
          missingFields: 100,
          invalidTypes: 50,
          duplicates: 0,
          issues: 157,
        },
      ],
    });
    const all = await qualitySummary(db, scope, '2026-01-01T00:00:00.000Z');
    expect(all.byPipeline.map(({ pipelineName }) => pipelineName)).toEqual(['a', 'b']);
    expect(all.totalRecords).toBe(250_000);
  });
});

describeEachStore('records of a pipeline', (of) => {
  it('a dead letter is listed once, until it is resolved', async () => {
    const { db, organization } = of();
    const scope = await organization();
    const { id: pipelineId } = await aPipeline(db, scope);
    const letter = (letter_id: string) => ({
      isOpen: true,
      created_at: '2026-01-01T00:00:00.000Z',
      execution_id: null,
      stream: 'orders',
      letter_id,
      code: 'value_rejected',
      reason: 'too long',
    });
    const enter = async (ids: readonly string[]): Promise<string[]> => {
      const entered = await indexDeadLetters(db, scope, pipelineId, ids.map(letter));
      return entered.map((row) => row.letter_id).toSorted();
    };
    expect(await enter(['1'])).toEqual(['1']);
    const twice = await Promise.all([enter(['1', '2', '3']), enter(['1', '2', '3'])]);
    expect(twice.flat().toSorted()).toEqual(['2', '3']);
    const page = { after: null, limit: 10 };
    const open = await listDeadLetters(db, scope, { pipelineId, resolved: false }, page);
    expect(open).toHaveLength(3);
    expect(await countOpenLetters(db, scope, { pipelineId, stream: 'orders' })).toBe(3);
    expect(await countOpenLetters(db, scope, { pipelineId, stream: 'others' })).toBe(0);
    const settled = { ids: ['1', '2', '3'], resolved: true };
    await settleDeadLetters(db, await organization(), pipelineId, settled);
    expect(await openLetters(db, scope, pipelineId, { after: '1', limit: 1 })).toEqual(['2']);
    await settleDeadLetters(db, scope, pipelineId, settled);
    expect(await listDeadLetters(db, scope, { resolved: false }, page)).toEqual([]);
    const known = await indexedLetters(db, scope, pipelineId, ['1', '4']);
    expect([...known]).toEqual([['1', { isOpen: false }]]);
    await settleDeadLetters(db, scope, pipelineId, { ids: ['1'], resolved: false });
    expect(await openLetters(db, scope, pipelineId, { after: '', limit: 9 })).toEqual(['1']);
    expect(await findDeadLetter(db, scope, open[0]?.id ?? '')).toMatchObject({ stream: 'orders' });
    expect(await findDeadLetter(db, await organization(), open[0]?.id ?? '')).toBeNull();
  });

  it('a checkpoint is the last one of its stream', async () => {
    const { db, organization } = of();
    const scope = await organization();
    const { id: pipeline_id } = await aPipeline(db, scope);
    const put = (stream: string, position: string) =>
      putCheckpoint(db, scope, {
        pipeline_id,
        stream,
        position,
        checksum: null,
        events: 9_007_199_254_740_991,
        committed_at: new Date().toISOString(),
      });
    await put('orders', '0/1');
    await put('customers', '0/1');
    await put('orders', '0/2');
    const rows = await listCheckpoints(db, scope, pipeline_id);
    expect(rows.map(({ stream, position }) => [stream, position])).toEqual([
      ['customers', '0/1'],
      ['orders', '0/2'],
    ]);
    expect(rows[0]?.events).toBe(9_007_199_254_740_991);
  });

  it('lineage is the last that the execution recorded of a layer', async () => {
    const { db, organization } = of();
    const scope = await organization();
    const edge = (column_name: string) => ({
      table_name: 't',
      column_name,
      source_table: 's',
      source_column: 'c',
    });
    const place = { executionId: freshName('execution'), layer: 'silver' } as const;
    await recordColumnLineage(db, scope, place, [edge('old')]);
    await recordColumnLineage(db, scope, place, [edge('b'), edge('a'), edge('a')]);
    const rows = await listColumnLineage(db, scope, place.executionId);
    expect(rows.map(({ column_name }) => column_name)).toEqual(['a', 'b']);
  });
});
