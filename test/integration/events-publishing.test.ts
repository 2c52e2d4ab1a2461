// From the outbox to receivers: what arrives, what is tried again, and what one receiver's trouble does to others.
import { createHmac } from 'node:crypto';
import { expect, it } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import { recordColumnLineage } from '../../src/metadata/column-lineage.ts';
import type { MetadataDb } from '../../src/metadata/database.ts';
import { appendEvents } from '../../src/metadata/events-outbox.ts';
import type { OrganizationScope } from '../../src/metadata/scope.ts';
import { createOpenLineage } from '../../src/service/events/openlineage.ts';
import type { Publisher } from '../../src/service/events/publisher.ts';
import { startPublishing } from '../../src/service/events/publishing.ts';
import { createWebhook } from '../../src/service/events/webhook.ts';
import type { Log } from '../../src/service/log.ts';
import { aPipeline, freshName } from '../support/metadata-builders.ts';
import { describeEachStore, type Store } from '../support/metadata-stores.ts';
import { startReceiver, type Received, type Receiver } from '../support/receiver.ts';
import { eventually } from '../support/wait.ts';

const KEY = Buffer.alloc(32, 7);
const secrets = [new Secret(`whsec_${KEY.toString('base64')}`)];

/** Until the assertion holds. */
const held = (assertion: () => unknown): Promise<true> =>
  eventually(async () => {
    await assertion();
    return true as const;
  });

interface Line {
  readonly event: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

function recorder(): { readonly log: Log; readonly lines: Line[] } {
  const lines: Line[] = [];
  const log: Log = {
    at: (_, event, fields = {}) => void lines.push({ event, fields }),
    child: () => log,
  };
  return { log, lines };
}

const named = (receiver: Receiver, more: object = {}): Publisher =>
  createWebhook({
    id: freshName('webhook'),
    url: `${receiver.url}/in`,
    secrets,
    policy: 'open',
    ...more,
  });

async function publish(db: MetadataDb, publisher: Publisher, log = recorder().log) {
  // Marks where it begins: an outbox that is empty has no such place.
  const publishing = startPublishing({
    db,
    publisher,
    log,
    pollMs: 5,
    graceMs: 50,
    wait: () => 10,
  });
  await held(async () => {
    const row = await db
      .selectFrom('event_deliveries')
      .select('outbox_id')
      .where('publisher', '=', publisher.id)
      .executeTakeFirst();
    expect(row).toBeDefined();
  });
  return publishing;
}

function tell(
  db: MetadataDb,
  scope: OrganizationScope,
  ...subjects: readonly string[]
): Promise<void> {
  const events = subjects.map((subject) => ({ type: 'layer.completed', subject, data: '{"n":1}' }));
  return db.transaction().execute((transaction) => appendEvents(transaction, scope, events));
}

const subjectOf = ({ body }: Received): unknown =>
  (JSON.parse(body) as { readonly subject: unknown }).subject;

const byText = (left: unknown, right: unknown): number => (String(left) < String(right) ? -1 : 1);

async function begun(of: () => Store): Promise<{ db: MetadataDb; scope: OrganizationScope }> {
  const { db, organization } = of();
  const scope = await organization();
  await tell(db, scope, 'before');
  return { db, scope };
}

describeEachStore('publishing', (of) => {
  it('sends CloudEvents that are signed, in order, and none from before', async () => {
    const { db, scope } = await begun(of);
    await using receiver = await startReceiver();
    await using _ = await publish(db, named(receiver));
    await tell(db, scope, 'a', 'b');
    await held(() => expect(receiver.received.map(subjectOf)).toEqual(['a', 'b']));
    const [{ headers, body, path } = { headers: {}, body: '', path: '' }] = receiver.received;
    expect(path).toBe('/in');
    expect(headers['content-type']).toBe('application/cloudevents+json; charset=utf-8');
    expect(JSON.parse(body)).toEqual({
      specversion: '1.0',
      id: headers['webhook-id'],
      source: `/organizations/${scope.organizationId}`,
      type: 'layer.completed',
      subject: 'a',
      time: expect.stringMatching(/Z$/),
      datacontenttype: 'application/json',
      data: { n: 1 },
    });
    const content = `${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.${body}`;
    const signature = createHmac('sha256', KEY).update(content).digest('base64');
    expect(headers['webhook-signature']).toBe(`v1,${signature}`);
  });

  it('sends again what did not get through, under the same id', async () => {
    const { db, scope } = await begun(of);
    await using receiver = await startReceiver();
    receiver.answer(503, { status: 302, headers: { location: '/elsewhere' } }, 400);
    await using _ = await publish(db, named(receiver));
    await tell(db, scope, 'a');
    await held(() => expect(receiver.received).toHaveLength(4));
    const ids = new Set(receiver.received.map(({ headers }) => headers['webhook-id']));
    expect(ids.size).toBe(1);
    expect(receiver.received.map(({ path }) => path)).toEqual(['/in', '/in', '/in', '/in']);
  });

  it('gives up an event that nobody took for three days, and goes on', async () => {
    const { db, scope } = await begun(of);
    await using receiver = await startReceiver();
    receiver.answer(400);
    const { log, lines } = recorder();
    const publisher = named(receiver);
    await using _ = await publish(db, publisher, log);
    await db.transaction().execute(async (transaction) => {
      await appendEvents(transaction, scope, [
        { type: 'layer.completed', subject: 'old', data: '{}' },
      ]);
      await transaction
        .updateTable('events_outbox')
        .set({ created_at: '2020-01-01T00:00:00.000Z' })
        .where('subject', '=', 'old')
        .execute();
    });
    await tell(db, scope, 'new');
    await held(() => expect(receiver.received.map(subjectOf)).toEqual(['old', 'new']));
    await held(() => expect(lines.map(({ event }) => event)).toContain('event_given_up'));
  });

  it('ends where the receiver is gone for good', async () => {
    const { db, scope } = await begun(of);
    await using receiver = await startReceiver();
    receiver.answer(410);
    const { log, lines } = recorder();
    await using _ = await publish(db, named(receiver), log);
    await tell(db, scope, 'a', 'b');
    await held(() => expect(lines.at(-1)?.event).toBe('event_publisher_disabled'));
    expect(receiver.received).toHaveLength(1);
  });

  it('keeps the others going while one receiver hangs and one is not there', async () => {
    const { db, scope } = await begun(of);
    await using hanging = await startReceiver();
    hanging.answer('hang');
    await using well = await startReceiver();
    await using _hanging = await publish(db, named(hanging));
    await using _dead = await publish(db, named(well, { url: 'http://127.0.0.1:1/' }));
    await using _well = await publish(db, named(well));
    await tell(db, scope, 'a');
    await held(() => expect(hanging.received).toHaveLength(1));
    await tell(db, scope, 'b');
    await held(() => expect(well.received.map(subjectOf)).toEqual(['a', 'b']));
  });

  it('sends again what was under way when it was stopped', async () => {
    const { db, scope } = await begun(of);
    await using receiver = await startReceiver();
    receiver.answer('hang');
    const id = freshName('webhook');
    {
      await using _ = await publish(db, named(receiver, { id }));
      await tell(db, scope, 'a', 'b');
      await held(() => expect(receiver.received).toHaveLength(1));
    }
    await using _ = await publish(db, named(receiver, { id }));
    await held(() =>
      expect(receiver.received.map(subjectOf).toSorted(byText)).toEqual(['a', 'a', 'b']),
    );
  });

  it('is stopped in time, whatever the client of a broker does', async () => {
    const { db, scope } = await begun(of);
    const sending = Promise.withResolvers<true>();
    let closed = 0;
    const deaf: Publisher = {
      id: freshName('broker'),
      send: () => {
        sending.resolve(true);
        return new Promise(() => {});
      },
      [Symbol.asyncDispose]: async () => {
        closed += 1;
      },
    };
    {
      await using _ = await publish(db, deaf);
      await tell(db, scope, 'a');
      await sending.promise;
    }
    expect(closed).toBe(1);
  });

  it('waits for a receiver that does not answer no longer than it may', async () => {
    const { db, scope } = await begun(of);
    await using receiver = await startReceiver();
    receiver.answer('hang');
    const { log, lines } = recorder();
    await using _ = await publish(db, named(receiver, { timeoutMs: 30 }), log);
    await tell(db, scope, 'a');
    await held(() => expect(receiver.received).toHaveLength(2));
    expect(lines[0]).toMatchObject({
      event: 'event_postponed',
      fields: { reason: 'no answer in time' },
    });
  });

  it('tells an OpenLineage endpoint of runs, from their begin to their end', async () => {
    const { db, scope } = await begun(of);
    const pipeline = await aPipeline(db, scope);
    const execution = '0198a5a0-0000-7000-8000-000000000001';
    await using receiver = await startReceiver();
    const publisher = createOpenLineage({
      id: freshName('openlineage'),
      url: `${receiver.url}/api/v1/lineage`,
      token: new Secret('of the receiver'),
      namespace: 'shop',
      db,
      policy: 'open',
    });
    await using _ = await publish(db, publisher);
    const edges = [
      { table_name: 't', column_name: 'a', source_table: 'public.t', source_column: 'a' },
    ];
    await recordColumnLineage(db, scope, { executionId: execution, layer: 'bronze' }, edges);
    const event = (type: string, status: string, error: object | null = null) => ({
      type,
      subject: execution,
      data: JSON.stringify({
        execution_id: execution,
        pipeline_id: pipeline.id,
        pipeline_name: pipeline.name,
        status,
        error,
      }),
    });
    await db
      .transaction()
      .execute((transaction) =>
        appendEvents(transaction, scope, [
          event('execution.started', 'running'),
          { type: 'layer.completed', subject: execution, data: '{}' },
          event('execution.failed', 'failed', { message: 'the table is gone' }),
          event('execution.failed', 'cancelled'),
        ]),
      );
    await held(() => expect(receiver.received).toHaveLength(3));
    const events = receiver.received.map(({ body }) => JSON.parse(body) as object);
    expect(events).toMatchObject([
      { eventType: 'START', outputs: [], run: { runId: execution } },
      {
        eventType: 'FAIL',
        run: { facets: { errorMessage: { message: 'the table is gone' } } },
        inputs: [{ namespace: 'postgres://db', name: 'public.t' }],
        outputs: [{ name: 'bronze.t' }],
      },
      { eventType: 'ABORT', job: { namespace: 'shop', name: pipeline.name } },
    ]);
    expect(receiver.received[0]?.headers.authorization).toBe('Bearer of the receiver');
  });
});
