/** What happened to an execution as a run event of OpenLineage (spec 2-0-2). Pure. */
import type {
  ColumnLineageTable,
  ConnectionsTable,
  DataQualityMetricsTable,
  ExecutionsTable,
} from '../../metadata/tables.ts';

const PRODUCER = 'https://www.npmjs.com/package/forebay';
const SPEC = 'https://openlineage.io/spec';
const FACETS = {
  schema: '1-1-1/SchemaDatasetFacet',
  columnLineage: '1-2-0/ColumnLineageDatasetFacet',
  dataQualityMetrics: '1-0-2/DataQualityMetricsInputDatasetFacet',
  errorMessage: '1-0-1/ErrorMessageRunFacet',
} as const;

export type RunState = 'START' | 'COMPLETE' | 'FAIL' | 'ABORT';

/** Null where the event says nothing of a run. */
export function runState(type: string, status: unknown): RunState | null {
  if (type === 'execution.started') return 'START';
  if (type === 'execution.completed') return 'COMPLETE';
  if (type !== 'execution.failed') return null;
  return status === 'cancelled' ? 'ABORT' : 'FAIL';
}

type System = Pick<ConnectionsTable, 'name' | 'connector_type' | 'config'>;

export interface RunFacts {
  readonly state: RunState;
  readonly at: string;
  readonly namespace: string;
  readonly execution: Pick<ExecutionsTable, 'id' | 'pipeline_name'>;
  /** Null where nothing failed. */
  readonly error: string | null;
  /** Null where it was removed since. */
  readonly source: System | null;
  readonly destination: System | null;
  readonly lineage: readonly Omit<ColumnLineageTable, 'organization_id' | 'execution_id'>[];
  readonly metrics: readonly Pick<DataQualityMetricsTable, 'stream' | 'metric_type' | 'count'>[];
}

type Facet = Readonly<Record<string, unknown>>;

function facet(name: keyof typeof FACETS, content: Facet): Facet {
  const path = FACETS[name];
  const schema = `${SPEC}/facets/${path}.json#/$defs/${path.split('/')[1] ?? ''}`;
  return { [name]: { _producer: PRODUCER, _schemaURL: schema, ...content } };
}

interface DatasetName {
  readonly namespace: string;
  readonly name: string;
}

/** Fields of `config` that are secret are null in it. */
function fieldsOf({ config }: System): Readonly<Record<string, unknown>> {
  const fields: unknown = JSON.parse(config);
  return typeof fields === 'object' && fields !== null ? { ...fields } : {};
}

/** `postgres://host:port` and `database.schema.table`, as OpenLineage names them; without a host by the connection. */
function datasetOf(system: System | null, table: string): DatasetName {
  if (system === null) return { namespace: 'unknown', name: table };
  const { host, port, database } = fieldsOf(system);
  const type = system.connector_type;
  if (typeof host !== 'string' || host === '')
    return { namespace: `${type}://${encodeURIComponent(system.name)}`, name: table };
  const portPart = typeof port === 'number' || typeof port === 'string' ? `:${port}` : '';
  const name = typeof database === 'string' && database !== '' ? `${database}.${table}` : table;
  return { namespace: `${type}://${host}${portPart}`, name };
}

type Edge = RunFacts['lineage'][number];

function inputFields(edges: readonly Edge[], facts: RunFacts): readonly Facet[] {
  return edges.map(({ layer, source_table: table, source_column: field }) => ({
    // Bronze alone reads the source; what comes after reads what is at the destination.
    ...datasetOf(layer === 'bronze' ? facts.source : facts.destination, table),
    field,
  }));
}

function outputsOf(facts: RunFacts): readonly Facet[] {
  const tables = Map.groupBy(facts.lineage, (edge) => `${edge.layer}.${edge.table_name}`);
  return [...tables].map(([table, edges]) => {
    const columns = Map.groupBy(edges, (edge) => edge.column_name);
    const fields = [...columns].map(([name, own]) => [
      name,
      { inputFields: inputFields(own, facts) },
    ]);
    return {
      ...datasetOf(facts.destination, table),
      facets: {
        ...facet('schema', { fields: [...columns.keys()].map((name) => ({ name })) }),
        ...facet('columnLineage', { fields: Object.fromEntries(fields) }),
      },
    };
  });
}

function inputsOf(facts: RunFacts): readonly Facet[] {
  const bronze = facts.lineage.filter(({ layer }) => layer === 'bronze');
  const streams = Map.groupBy(bronze, ({ source_table: stream }) => stream);
  return [...streams].map(([stream, edges]) => {
    const names = [...new Set(edges.map(({ source_column: column }) => column))];
    const total = facts.metrics.find(
      (metric) => metric.stream === stream && metric.metric_type === 'total_records',
    );
    return {
      ...datasetOf(facts.source, stream),
      facets: facet('schema', { fields: names.map((name) => ({ name })) }),
      // Columns are not measured one by one; the standard wants the member.
      inputFacets:
        total === undefined
          ? {}
          : facet('dataQualityMetrics', { rowCount: total.count, columnMetrics: {} }),
    };
  });
}

export function runEvent(facts: RunFacts): Facet {
  const { state, at, namespace, execution, error } = facts;
  const failed = error === null ? {} : { message: error, programmingLanguage: 'TypeScript' };
  return {
    eventType: state,
    eventTime: at,
    producer: PRODUCER,
    schemaURL: `${SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent`,
    run: {
      runId: execution.id,
      facets: error === null ? {} : facet('errorMessage', failed),
    },
    job: { namespace, name: execution.pipeline_name },
    inputs: inputsOf(facts),
    outputs: outputsOf(facts),
  };
}
