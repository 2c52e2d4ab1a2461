import { sql } from 'kysely';
import type { MetadataDb } from './database.ts';
import { dayOf, type Page } from './page.ts';
import type { OrganizationScope } from './scope.ts';
import type { DataQualityMetricsTable, Layer, Time } from './tables.ts';
import { inTransaction } from './transaction.ts';

export type QualityMetric = Pick<
  DataQualityMetricsTable,
  'rule' | 'metric_type' | 'count' | 'severity' | 'details'
>;

export interface QualityPlace {
  readonly pipelineId: string;
  readonly executionId: string;
  readonly layer: Layer;
  readonly stream: string;
}

/**
 * Takes the place of what the same execution recorded of the same layer and stream, so that a step that is repeated
 * counts once. Totals (`total_records`, `valid_records`) have no rule and stand once per execution, layer and stream.
 */
export function recordQualityMetrics(
  db: MetadataDb,
  scope: OrganizationScope,
  place: QualityPlace,
  { metrics, at }: { readonly metrics: readonly QualityMetric[]; readonly at: Time },
): Promise<void> {
  return inTransaction(db, async (transaction) => {
    await transaction
      .deleteFrom('data_quality_metrics')
      .where('organization_id', '=', scope.organizationId)
      .where('execution_id', '=', place.executionId)
      .where('layer', '=', place.layer)
      .where('stream', '=', place.stream)
      .execute();
    for (const metric of metrics)
      await transaction
        .insertInto('data_quality_metrics')
        .values({
          ...metric,
          organization_id: scope.organizationId,
          pipeline_id: place.pipelineId,
          execution_id: place.executionId,
          layer: place.layer,
          stream: place.stream,
          timestamp: at,
        })
        .execute();
  });
}

export function listQualityMetrics(
  db: MetadataDb,
  scope: OrganizationScope,
  executionId: string,
): Promise<QualityMetricRow[]> {
  return db
    .selectFrom('data_quality_metrics')
    .selectAll()
    .where('organization_id', '=', scope.organizationId)
    .where('execution_id', '=', executionId)
    .orderBy('id')
    .execute();
}

/** All of them hold together. */
export interface MetricFilter {
  readonly executionId?: string | undefined;
  readonly pipelineId?: string | undefined;
  readonly layer?: Layer | undefined;
  readonly stream?: string | undefined;
  readonly rule?: string | undefined;
  /** UTC days of the record, `YYYY-MM-DD`, both inclusive. */
  readonly dateFrom?: string | undefined;
  readonly dateTo?: string | undefined;
}

export type QualityMetricRow = Omit<DataQualityMetricsTable, 'id'> & { readonly id: number };

/** Newest first, and of what was recorded at once the last first. */
export async function filterQualityMetrics(
  db: MetadataDb,
  scope: OrganizationScope,
  filter: MetricFilter,
  { after, limit }: Page,
): Promise<QualityMetricRow[]> {
  const equal = {
    execution_id: filter.executionId,
    pipeline_id: filter.pipelineId,
    layer: filter.layer,
    stream: filter.stream,
    rule: filter.rule,
  };
  const { dateFrom, dateTo } = filter;
  let query = db
    .selectFrom('data_quality_metrics')
    .selectAll()
    .where('organization_id', '=', scope.organizationId);
  for (const [column, value] of Object.entries(equal))
    if (value !== undefined) query = query.where(sql.ref(column), '=', value);
  if (dateFrom !== undefined) query = query.where('timestamp', '>=', dayOf(dateFrom, 0));
  if (dateTo !== undefined) query = query.where('timestamp', '<', dayOf(dateTo, 1));
  // Its ids are numbers.
  if (after !== null) {
    const place = sql`(${after.sort}, ${Number(after.id)})`;
    query = query.where(sql<boolean>`(${sql.ref('timestamp')}, id) < ${place}`);
  }
  return query.orderBy('timestamp', 'desc').orderBy('id', 'desc').limit(limit).execute();
}

export interface QualityTotals {
  readonly totalRecords: number;
  readonly validRecords: number;
  /** 100 x valid / total, to two decimals; null where there was nothing. */
  readonly score: number | null;
  /** Rules that records broke, by kind: a record that breaks two counts twice. */
  readonly missingFields: number;
  readonly invalidTypes: number;
  readonly duplicates: number;
  /** Of these and every other kind. */
  readonly issues: number;
}

export interface QualitySummary extends QualityTotals {
  readonly byPipeline: readonly (QualityTotals & {
    readonly pipelineId: string;
    readonly pipelineName: string;
  })[];
}

interface Sums {
  readonly total: number;
  readonly valid: number;
  readonly missing: number;
  readonly types: number;
  readonly duplicates: number;
  readonly issues: number;
}

function scoreOf({ total, valid }: Sums): number | null {
  if (total === 0) return null;
  return Math.round((valid / total) * 10_000) / 100;
}

function totalsOf(sums: Sums): QualityTotals {
  return {
    totalRecords: sums.total,
    validRecords: sums.valid,
    score: scoreOf(sums),
    missingFields: sums.missing,
    invalidTypes: sums.types,
    duplicates: sums.duplicates,
    issues: sums.issues,
  };
}

const SUM_NAMES = ['total', 'valid', 'missing', 'types', 'duplicates', 'issues'] as const;

/** What was recorded from a time on, pipelines by name. */
export async function qualitySummary(
  db: MetadataDb,
  scope: OrganizationScope,
  since: Time,
): Promise<QualitySummary> {
  const { rows } = await sql<Sums & { pipeline_id: string; pipeline_name: string }>`
    select m.pipeline_id, max(coalesce(p.name, e.pipeline_name, '')) as pipeline_name,
      cast(sum(case when m.metric_type = 'total_records' then m.count else 0 end) as bigint) as total,
      cast(sum(case when m.metric_type = 'valid_records' then m.count else 0 end) as bigint) as valid,
      cast(sum(case when m.metric_type = 'missing_fields' then m.count else 0 end) as bigint) as missing,
      cast(sum(case when m.metric_type = 'invalid_types' then m.count else 0 end) as bigint) as types,
      cast(sum(case when m.metric_type = 'duplicates' then m.count else 0 end) as bigint) as duplicates,
      cast(sum(case when m.rule is not null and m.severity <> 'info' then m.count else 0 end) as bigint) as issues
    from data_quality_metrics m
    left join pipelines p on p.id = m.pipeline_id and p.organization_id = m.organization_id
    left join executions e on e.id = m.execution_id and e.organization_id = m.organization_id
    where m.organization_id = ${scope.organizationId} and m.timestamp >= ${since}
    group by m.pipeline_id
    order by 2, 1
  `.execute(db);
  const all = Object.fromEntries(
    SUM_NAMES.map((name) => [name, rows.reduce((sum, row) => sum + row[name], 0)]),
  ) as Record<(typeof SUM_NAMES)[number], number>;
  return {
    ...totalsOf(all),
    byPipeline: rows.map((row) => ({
      ...totalsOf(row),
      pipelineId: row.pipeline_id,
      pipelineName: row.pipeline_name,
    })),
  };
}
