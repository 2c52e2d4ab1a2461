import type { MetadataDb } from './database.ts';
import { dayOf, isAfter, type Page, type PageKey } from './page.ts';
import type { OrganizationScope } from './scope.ts';
import type { ExecutionsTable, ExecutionStatus } from './tables.ts';

/** All of them hold together. */
export interface ExecutionFilter {
  readonly pipelineId?: string | undefined;
  readonly status?: ExecutionStatus | undefined;
  /** UTC days of the start, `YYYY-MM-DD`, both inclusive. */
  readonly dateFrom?: string | undefined;
  readonly dateTo?: string | undefined;
}

export interface ExecutionPage {
  readonly rows: readonly ExecutionsTable[];
  /** Where the next page begins; null on the last one. */
  readonly next: PageKey | null;
}

/**
 * Newest first: by the time of the start where days of it are asked for, so that an index has the order, else by the
 * time at which they were scheduled.
 */
export async function listExecutions(
  db: MetadataDb,
  scope: OrganizationScope,
  filter: ExecutionFilter,
  page: Page,
): Promise<ExecutionPage> {
  const column = isByStart(filter) ? 'started_at' : 'scheduled_at';
  const found = await executionQuery(db, scope, filter, page).execute();
  const rows = found.slice(0, page.limit);
  const last = found.length > page.limit ? rows.at(-1) : undefined;
  return { rows, next: last === undefined ? null : { sort: last[column] ?? '', id: last.id } };
}

/** One row more than the page has, to know whether there is another page. */
export function executionQuery(
  db: MetadataDb,
  scope: OrganizationScope,
  filter: ExecutionFilter,
  page: Page,
) {
  const column = isByStart(filter) ? 'started_at' : 'scheduled_at';
  const { pipelineId, status, dateFrom, dateTo } = filter;
  let query = db
    .selectFrom('executions')
    .selectAll()
    .where('organization_id', '=', scope.organizationId);
  if (pipelineId !== undefined) query = query.where('pipeline_id', '=', pipelineId);
  if (status !== undefined) query = query.where('status', '=', status);
  if (dateFrom !== undefined) query = query.where('started_at', '>=', dayOf(dateFrom, 0));
  if (dateTo !== undefined) query = query.where('started_at', '<', dayOf(dateTo, 1));
  if (page.after !== null) query = query.where(isAfter(column, page.after));
  return query
    .orderBy(column, 'desc')
    .orderBy('id', 'desc')
    .limit(page.limit + 1);
}

function isByStart(filter: ExecutionFilter): boolean {
  return filter.dateFrom !== undefined || filter.dateTo !== undefined;
}
