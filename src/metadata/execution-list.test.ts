import { sql } from 'kysely';
import { expect, it } from 'vitest';
import { openMetadata } from './database.ts';
import { type ExecutionFilter, executionQuery } from './execution-list.ts';
import { scopeOf } from './scope.ts';

const choices: readonly ExecutionFilter[] = [
  { pipelineId: 'p' },
  { status: 'failed' },
  { dateFrom: '2026-01-01' },
  { dateTo: '2026-01-02' },
];

/** Every combination of the filters. */
function filters(): ExecutionFilter[] {
  let all: ExecutionFilter[] = [{}];
  for (const choice of choices) all = [...all, ...all.map((one) => ({ ...one, ...choice }))];
  return all;
}

/** The one that has all that is equal, and the order. */
function indexOf({ pipelineId, status, dateFrom, dateTo }: ExecutionFilter): string {
  const equal = [pipelineId && 'pipeline', status && 'status'].filter(Boolean);
  const time = dateFrom === undefined && dateTo === undefined ? 'scheduled_at' : 'started_at';
  return ['executions', ...(equal.length === 0 ? ['list'] : equal), time].join('_');
}

it('an index has the rows in their order, whatever is filtered and wherever the page begins', async () => {
  await using metadata = await openMetadata({ kind: 'sqlite', path: ':memory:' });
  for (const filter of filters())
    for (const after of [null, { sort: '2026-01-01T00:00:00.000Z', id: 'x' }]) {
      const page = { after, limit: 50 };
      const query = executionQuery(metadata.db, scopeOf('o'), filter, page).compile();
      const { rows } = await metadata.db.executeQuery<{ detail: string }>({
        ...query,
        sql: `explain query plan ${query.sql}`,
      });
      expect(
        rows.map(({ detail }) => detail),
        JSON.stringify(filter),
      ).toEqual([expect.stringMatching(`^SEARCH executions USING INDEX ${indexOf(filter)} `)]);
    }
});

it('the same holds for what is read after an id', async () => {
  await using metadata = await openMetadata({ kind: 'sqlite', path: ':memory:' });
  const statements = [
    sql`select * from execution_logs where organization_id = 'o' and execution_id = 'e' and id > 5 order by id`,
    sql`select * from events_outbox where organization_id = 'o' and id > 5 order by id`,
    sql`select * from audit_log where organization_id = 'o' and id < 5 order by id desc`,
    sql`select outbox_id from event_deliveries where publisher = 'p' order by outbox_id desc`,
  ];
  for (const statement of statements) {
    const { rows } = await sql<{ detail: string }>`explain query plan ${statement}`.execute(
      metadata.db,
    );
    expect(rows.map(({ detail }) => detail)).toEqual([expect.stringMatching(/^SEARCH .* INDEX/u)]);
  }
});
