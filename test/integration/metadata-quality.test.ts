// Metrics of quality in both stores.
import { expect, it } from 'vitest';
import { filterQualityMetrics, recordQualityMetrics } from '../../src/metadata/quality-metrics.ts';
import { freshName } from '../support/metadata-builders.ts';
import { describeEachStore } from '../support/metadata-stores.ts';

describeEachStore('metrics of quality', (of) => {
  it('quality metrics are read page by page, newest first, as filters say', async () => {
    const { db, organization } = of();
    const scope = await organization();
    const metric = { metric_type: 'missing_fields', severity: 'filter', details: null } as const;
    for (const day of [1, 2, 3])
      await recordQualityMetrics(
        db,
        scope,
        { pipelineId: 'p', executionId: freshName('execution'), layer: 'silver', stream: 's' },
        {
          at: `2026-01-0${day}T00:00:00.000Z`,
          metrics: ['a', 'b'].map((rule) => ({ ...metric, rule, count: day })),
        },
      );
    const first = await filterQualityMetrics(db, scope, { rule: 'a' }, { after: null, limit: 2 });
    expect(first.map(({ count }) => count)).toEqual([3, 2]);
    const last = first.at(-1);
    const after = { sort: last?.timestamp ?? '', id: String(last?.id) };
    const rest = await filterQualityMetrics(db, scope, {}, { after, limit: 10 });
    expect(rest.map(({ rule, count }) => [rule, count])).toEqual([
      ['b', 1],
      ['a', 1],
    ]);
    const days = { dateFrom: '2026-01-02', dateTo: '2026-01-02', pipelineId: 'p' };
    expect(await filterQualityMetrics(db, scope, days, { after: null, limit: 10 })).toHaveLength(2);
  });
});
