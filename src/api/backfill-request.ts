/** What a request for a backfill comes to: which ranges are read, and how. */
import { findExecution } from '../metadata/executions.ts';
import type { MetadataDb } from '../metadata/database.ts';
import { listPipelineStreams } from '../metadata/pipeline-streams.ts';
import type { OrganizationScope } from '../metadata/scope.ts';
import type { ExecutionsTable, PipelinesTable } from '../metadata/tables.ts';
import type { BackfillRange } from '../orchestration/flows/activities.ts';
import { leftOf } from '../orchestration/flows/backfill-outcome.ts';
import {
  type BackfillSpan,
  leastEach,
  MOST_RANGES,
  rangeAt,
  rangeCount,
  rangesAt,
} from '../orchestration/flows/backfill-ranges.ts';
import {
  indexesIn,
  readIndexes,
  type Span,
  writeIndexes,
} from '../orchestration/flows/index-set.ts';
import { workflowOf } from '../orchestration/schedule-execution.ts';
import { requireDatedStreams } from './pipeline-view.ts';
import { RequestError } from './problem.ts';
import { storedId } from './schemas/fields.ts';
import type { BackfillInput } from './schemas/backfills.ts';

/** As the flow is started with it, and as the execution keeps it. */
export type PlannedBackfill = {
  readonly span: BackfillSpan;
  readonly only: string | null;
  readonly parallel: number;
  readonly maxRows: number | null;
  readonly retryOf: string | null;
};

const DEFAULT_RANGE_SIZE = 50_000;

function refused(pointer: string, message: string, fix: string): RequestError {
  return new RequestError('request_unprocessable', {
    message: `${pointer.slice(1)} ${message}`,
    fix,
    fields: [{ in: 'body', pointer, code: 'request_unprocessable', message }],
  });
}

function spanOf(body: BackfillInput): BackfillSpan | null {
  const { date_range: days, key_range: keys, range_days, range_size } = body;
  if (days !== undefined) {
    const span = { kind: 'days', ...days, each: 1 } as const;
    return { ...span, each: range_days ?? leastEach(span) };
  }
  if (keys === undefined) return null;
  const span = { kind: 'keys', ...keys, each: 1 } as const;
  return { ...span, each: range_size ?? Math.max(DEFAULT_RANGE_SIZE, leastEach(span)) };
}

function assertFew(span: BackfillSpan): void {
  const count = rangeCount(span);
  if (count <= MOST_RANGES) return;
  const pointer = span.kind === 'days' ? '/range_days' : '/range_size';
  throw refused(
    pointer,
    `would make ${count} ranges; at most ${MOST_RANGES} are made`,
    `Give ${leastEach(span)} or more, or a shorter range.`,
  );
}

export function assertLayered(pipeline: PipelinesTable): void {
  if (workflowOf(pipeline) !== 'ReplicationWorkflow') return;
  throw new RequestError('request_unprocessable', {
    message: `pipeline ${pipeline.name} follows its source and has no ranges to read again`,
    fix: 'Read its streams again with `resync`.',
  });
}

async function retried(
  db: MetadataDb,
  scope: OrganizationScope,
  pipeline: PipelinesTable,
  given: string,
): Promise<ExecutionsTable> {
  const id = storedId(given);
  const row = id === null ? null : await findExecution(db, scope, id);
  const fix = 'Name a backfill of this pipeline, as GET /api/v1/etl/executions lists them.';
  if (row === null || row.pipeline_id !== pipeline.id || row.workflow !== 'BackfillWorkflow')
    throw refused('/retry_of', 'is no backfill of this pipeline', fix);
  if (row.status === 'running' || row.status === 'scheduled')
    throw refused('/retry_of', 'has not ended', 'Wait for its end, or cancel it.');
  return row;
}

const parsed = (text: string | null): unknown => (text === null ? null : JSON.parse(text));

export function selectedOf({
  span,
  only,
}: Pick<PlannedBackfill, 'span' | 'only'>): readonly Span[] {
  const count = rangeCount(span);
  return (only === null ? null : readIndexes(only)) ?? [[0, count - 1]];
}

/** In the transaction that enters the execution, or before it for a preview. */
export async function plannedBackfill(
  db: MetadataDb,
  scope: OrganizationScope,
  pipeline: PipelinesTable,
  body: BackfillInput,
): Promise<PlannedBackfill> {
  assertLayered(pipeline);
  const { parallel, max_rows: maxRows = null, retry_of: retryOf } = body;
  const span = spanOf(body);
  if (span === null) {
    const before = await retried(db, scope, pipeline, retryOf ?? '');
    // Written by this function, for the execution.
    const earlier = parsed(before.parameters) as PlannedBackfill;
    const left = leftOf(selectedOf(earlier), parsed(before.output));
    if (left.length === 0)
      throw refused('/retry_of', 'has no range that is left', 'Nothing needs to be done.');
    const only = writeIndexes(left);
    return {
      span: earlier.span,
      only,
      parallel: parallel ?? earlier.parallel,
      maxRows,
      retryOf: before.id,
    };
  }
  assertFew(span);
  if (span.kind === 'days') {
    const streams = await listPipelineStreams(db, scope, pipeline.id);
    requireDatedStreams(pipeline, streams, '/date_range');
  }
  return { span, only: null, parallel: parallel ?? 1, maxRows, retryOf: null };
}

export function plannedRanges({ span, only }: PlannedBackfill): readonly BackfillRange[] {
  return indexesIn(selectedOf({ span, only })).map((index) => rangeAt(span, index));
}

/** The same rows in as few ranges as can be. */
export function joinedRanges({ span, only }: PlannedBackfill): readonly BackfillRange[] {
  return selectedOf({ span, only }).map((one) => rangesAt(span, one));
}
