/** What quality rules found: counts, their course over executions, and the rows themselves. */
import { filterQualityMetrics, qualitySummary } from '../../metadata/quality-metrics.ts';
import { timeOf } from '../../metadata/transaction.ts';
import { cursorAt, pageOf } from '../page.ts';
import { requiredPipeline } from '../pipeline-view.ts';
import { upstreamError } from '../problem.ts';
import { readRoute, type Route } from '../route.ts';
import { idParams } from '../schemas/fields.ts';
import {
  dataQualitySchema,
  metricsQuery,
  metricsSchema,
  quarantineQuery,
  quarantineSchema,
} from '../schemas/quality.ts';

const PATH = '/api/v1/etl/data-quality';
const TAG = 'Executions';
const DAY_MS = 86_400_000;

const quality = readRoute({
  path: PATH,
  operation: 'getDataQuality',
  summary: 'What the quality rules found in the last 24 hours.',
  tag: TAG,
  permission: 'read',
  replies: { 200: dataQualitySchema },
  handle: async ({ context, caller }) => {
    const since = timeOf(Date.now() - DAY_MS);
    const summary = await qualitySummary(context.db, caller.scope, since);
    const body = {
      quality_metrics: {
        last_24h: {
          total_records: summary.totalRecords,
          valid_records: summary.validRecords,
          quality_score: summary.score,
          issues: {
            missing_fields: summary.missingFields,
            invalid_types: summary.invalidTypes,
            duplicates: summary.duplicates,
          },
        },
      },
      by_pipeline: summary.byPipeline.map(({ pipelineId, pipelineName, score, issues }) => ({
        pipeline_id: pipelineId,
        pipeline_name: pipelineName,
        quality_score: score,
        issues,
      })),
    };
    return { status: 200, body };
  },
});

const metrics = readRoute({
  path: `${PATH}/metrics`,
  operation: 'listQualityMetrics',
  summary: 'What was counted per execution, layer, stream and rule, newest first.',
  tag: TAG,
  permission: 'read',
  query: metricsQuery,
  replies: { 200: metricsSchema },
  handle: async (call) => {
    const { context, caller, query } = call;
    const filter = {
      executionId: query.execution_id,
      pipelineId: query.pipeline_id,
      layer: query.layer,
      stream: query.stream,
      rule: query.rule,
      dateFrom: query.date_from,
      dateTo: query.date_to,
    };
    const page = pageOf('quality-metrics', call);
    const found = await filterQualityMetrics(context.db, caller.scope, filter, page);
    const rows = found.slice(0, query.limit);
    const last = found.length > rows.length ? rows.at(-1) : undefined;
    const next = last === undefined ? null : { sort: last.timestamp, id: String(last.id) };
    const body = {
      metrics: rows.map((row) => ({
        execution_id: row.execution_id,
        pipeline_id: row.pipeline_id,
        layer: row.layer,
        stream: row.stream,
        rule: row.rule,
        metric_type: row.metric_type,
        count: row.count,
        severity: row.severity,
        recorded_at: row.timestamp,
      })),
      next_cursor: cursorAt('quality-metrics', call, next),
    };
    return { status: 200, body };
  },
});

/** Rows are shown to those who may see the rows of dead letters. */
const quarantine = readRoute({
  path: '/api/v1/pipelines/{id}/quarantine',
  operation: 'listQuarantinedRows',
  summary: 'Rows that broke a quality rule, newest first, once for each rule that they broke.',
  tag: 'Pipelines',
  permission: 'operate',
  params: idParams,
  query: quarantineQuery,
  replies: { 200: quarantineSchema },
  failures: ['stream_not_found', 'capability_missing', 'file_locked'],
  upstream: true,
  handle: async (call) => {
    const { context, caller, query, signal } = call;
    const pipeline = await requiredPipeline(context.db, call);
    const { stream = null, rule = null, limit } = query;
    const choice = { stream, rule, limit, signal: signal() };
    try {
      const rows = await context.services.quarantinedRows(caller.scope, pipeline, choice);
      return { status: 200, body: { quarantined_rows: rows, next_cursor: null } };
    } catch (error) {
      throw upstreamError(error);
    }
  },
});

export const qualityRoutes: readonly Route[] = [quality, metrics, quarantine];
