import { describe, expect, it } from 'vitest';
import { type RunFacts, runEvent, runState } from './run-event.ts';

const postgres = {
  name: 'shop',
  connector_type: 'postgres',
  config: '{"host":"db","port":5432,"database":"app","password":null}',
};
const duckdb = { name: 'the warehouse', connector_type: 'duckdb', config: '{"path":"/w.duckdb"}' };
const facts: RunFacts = {
  state: 'COMPLETE',
  at: '2026-01-02T03:04:05.000Z',
  namespace: 'forebay',
  execution: { id: '0198a5a0-0000-7000-8000-000000000000', pipeline_name: 'orders' },
  error: null,
  source: postgres,
  destination: duckdb,
  lineage: [
    {
      layer: 'bronze',
      table_name: 'orders',
      column_name: 'id',
      source_table: 'public.orders',
      source_column: 'id',
    },
    {
      layer: 'gold',
      table_name: 'revenue',
      column_name: 'total',
      source_table: 'silver.orders',
      source_column: 'a',
    },
    {
      layer: 'gold',
      table_name: 'revenue',
      column_name: 'total',
      source_table: 'silver.orders',
      source_column: 'b',
    },
  ],
  metrics: [
    { stream: 'public.orders', metric_type: 'total_records', count: 7 },
    { stream: 'public.orders', metric_type: 'missing_fields', count: 2 },
  ],
};

describe('a run event', () => {
  it('names run, job and datasets as the standard does', () => {
    expect(runEvent(facts)).toMatchObject({
      eventType: 'COMPLETE',
      schemaURL: 'https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent',
      run: { runId: facts.execution.id, facets: {} },
      job: { namespace: 'forebay', name: 'orders' },
      inputs: [
        {
          namespace: 'postgres://db:5432',
          name: 'app.public.orders',
          facets: { schema: { fields: [{ name: 'id' }] } },
          inputFacets: { dataQualityMetrics: { rowCount: 7, columnMetrics: {} } },
        },
      ],
      outputs: [
        {
          namespace: 'duckdb://the%20warehouse',
          name: 'bronze.orders',
          facets: {
            columnLineage: {
              fields: {
                id: {
                  inputFields: [
                    { namespace: 'postgres://db:5432', name: 'app.public.orders', field: 'id' },
                  ],
                },
              },
            },
          },
        },
        {
          name: 'gold.revenue',
          facets: {
            columnLineage: {
              fields: {
                total: {
                  inputFields: [
                    { namespace: 'duckdb://the%20warehouse', name: 'silver.orders', field: 'a' },
                    { namespace: 'duckdb://the%20warehouse', name: 'silver.orders', field: 'b' },
                  ],
                },
              },
            },
          },
        },
      ],
    });
  });

  it('has producer and schema in every facet', () => {
    const found: unknown[] = [];
    JSON.stringify(runEvent({ ...facts, error: 'it broke' }), (key, value: unknown) => {
      if (/facets$/i.test(key)) found.push(...Object.values(value as object));
      return value;
    });
    expect(found).toHaveLength(7);
    for (const facet of found)
      expect(facet).toMatchObject({
        _producer: expect.stringMatching(/^https:/),
        _schemaURL: expect.stringMatching(
          /^https:\/\/openlineage\.io\/spec\/facets\/\d-\d-\d\/(\w+)\.json#\/\$defs\/\1$/,
        ),
      });
  });

  it('carries what failed', () => {
    expect(runEvent({ ...facts, state: 'FAIL', error: 'the table is gone' })).toMatchObject({
      eventType: 'FAIL',
      run: {
        facets: {
          errorMessage: { message: 'the table is gone', programmingLanguage: 'TypeScript' },
        },
      },
    });
  });

  it.each([
    ['execution.started', 'running', 'START'],
    ['execution.completed', 'completed', 'COMPLETE'],
    ['execution.failed', 'failed', 'FAIL'],
    ['execution.failed', 'cancelled', 'ABORT'],
    ['layer.completed', undefined, null],
  ])('%s of an execution that is %s is %s', (type, status, state) => {
    expect(runState(type, status)).toBe(state);
  });
});
