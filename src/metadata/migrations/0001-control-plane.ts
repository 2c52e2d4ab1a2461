/** All tables of the control plane. The same statements in SQLite and PostgreSQL. */
import { type ColumnDataType, type Kysely, sql } from 'kysely';
import { executionLists, type IndexSpec, tellSelectivity } from './0001-execution-lists.ts';

/** A number that counts up by itself. */
function identity(dialect: 'sqlite' | 'postgres'): ReturnType<typeof sql> {
  return dialect === 'sqlite' ? sql`integer` : sql`bigint generated always as identity`;
}

type ColumnSpec = ColumnDataType | `${ColumnDataType}?`;

const LONG = 'bigint';

/** Columns by name; a type that ends with `?` may be null. */
const TABLES: Readonly<Record<string, Readonly<Record<string, ColumnSpec>>>> = {
  organizations: { id: 'text', name: 'text', created_at: 'text' },
  users: {
    id: 'text',
    organization_id: 'text',
    email: 'text',
    password_hash: 'text?',
    role: 'text',
    created_at: 'text',
    disabled_at: 'text?',
  },
  api_tokens: {
    id: 'text',
    organization_id: 'text',
    user_id: 'text?',
    name: 'text',
    prefix: 'text',
    hash: 'text',
    role: 'text',
    expires_at: 'text?',
    last_used_at: 'text?',
    created_at: 'text',
    revoked_at: 'text?',
  },
  setup_tokens: { hash: 'text', expires_at: 'text', used_at: 'text?' },
  data_keys: {
    id: 'text',
    organization_id: 'text',
    version: 'integer',
    wrapping_key_id: 'text',
    wrapped_key: 'text',
    created_at: 'text',
  },
  connections: {
    id: 'text',
    organization_id: 'text',
    name: 'text',
    connector_type: 'text',
    config: 'text',
    secrets: 'text',
    status: 'text',
    last_test_at: 'text?',
    last_test_result: 'text?',
    version: 'integer',
    created_at: 'text',
    updated_at: 'text',
  },
  pipelines: {
    id: 'text',
    organization_id: 'text',
    name: 'text',
    source_connection_id: 'text',
    destination_connection_id: 'text',
    kind: 'text',
    config: 'text',
    is_active: 'integer',
    last_run_at: 'text?',
    last_run_status: 'text?',
    version: 'integer',
    created_at: 'text',
    updated_at: 'text',
  },
  pipeline_streams: {
    pipeline_id: 'text',
    organization_id: 'text',
    stream: 'text',
    position: 'integer',
    config: 'text',
  },
  benthos_configurations: {
    id: 'text',
    organization_id: 'text',
    name: 'text',
    configuration: 'text',
    version: 'integer',
    created_at: 'text',
    updated_at: 'text',
  },
  pipeline_benthos_configurations: {
    pipeline_id: 'text',
    organization_id: 'text',
    benthos_configuration_id: 'text',
    order: 'integer',
  },
  schedules: {
    id: 'text',
    organization_id: 'text',
    pipeline_id: 'text',
    schedule_type: 'text',
    cron_expression: 'text?',
    interval_seconds: `${LONG}?`,
    time_zone: 'text',
    overlap_policy: 'text',
    catchup_window_seconds: LONG,
    is_paused: 'integer',
    last_fired_at: 'text?',
    next_fire_at: 'text?',
    buffered_at: 'text?',
    version: 'integer',
    created_at: 'text',
    updated_at: 'text',
  },
  executions: {
    id: 'text',
    organization_id: 'text',
    pipeline_id: 'text',
    pipeline_name: 'text',
    workflow: 'text',
    workflow_id: 'text',
    run_id: 'text?',
    trigger: 'text',
    parameters: 'text',
    status: 'text',
    error: 'text?',
    output: 'text?',
    retry: 'text?',
    control: 'text?',
    records_processed: `${LONG}?`,
    records_failed: `${LONG}?`,
    size_bytes: `${LONG}?`,
    scheduled_at: 'text',
    started_at: 'text?',
    completed_at: 'text?',
    duration_ms: `${LONG}?`,
  },
  execution_layers: {
    execution_id: 'text',
    organization_id: 'text',
    layer: 'text',
    status: 'text',
    records: `${LONG}?`,
    records_filtered: `${LONG}?`,
    records_deduplicated: `${LONG}?`,
    size_bytes: `${LONG}?`,
    tables: 'text?',
    error: 'text?',
    started_at: 'text?',
    completed_at: 'text?',
    duration_ms: `${LONG}?`,
  },
  execution_logs: {
    organization_id: 'text',
    execution_id: 'text',
    line_key: 'text',
    timestamp: 'text',
    level: 'text',
    layer: 'text?',
    message: 'text',
    fields: 'text?',
  },
  checkpoints: {
    pipeline_id: 'text',
    organization_id: 'text',
    stream: 'text',
    position: 'text',
    checksum: 'text?',
    events: `${LONG}?`,
    committed_at: 'text',
  },
  data_quality_metrics: {
    organization_id: 'text',
    pipeline_id: 'text',
    execution_id: 'text',
    layer: 'text',
    stream: 'text',
    rule: 'text?',
    metric_type: 'text',
    count: LONG,
    severity: 'text',
    details: 'text?',
    timestamp: 'text',
  },
  dead_letters: {
    id: 'text',
    organization_id: 'text',
    pipeline_id: 'text',
    execution_id: 'text?',
    stream: 'text',
    letter_id: 'text',
    code: 'text',
    reason: 'text',
    created_at: 'text',
    resolved_at: 'text?',
  },
  events_outbox: {
    organization_id: 'text',
    event_id: 'text',
    type: 'text',
    subject: 'text',
    data: 'text',
    created_at: 'text',
  },
  event_deliveries: {
    outbox_id: LONG,
    publisher: 'text',
    attempts: 'integer',
    next_attempt_at: 'text?',
    delivered_at: 'text?',
    last_error: 'text?',
  },
  audit_log: {
    organization_id: 'text',
    actor: 'text',
    action: 'text',
    resource_type: 'text',
    resource_id: 'text?',
    details: 'text?',
    address: 'text?',
    timestamp: 'text',
    hash: 'text',
  },
  idempotency_keys: {
    organization_id: 'text',
    key: 'text',
    method: 'text',
    path: 'text',
    body_hash: 'text',
    status: 'integer',
    response: 'text',
    created_at: 'text',
  },
  column_lineage: {
    execution_id: 'text',
    organization_id: 'text',
    layer: 'text',
    table_name: 'text',
    column_name: 'text',
    source_table: 'text',
    source_column: 'text',
  },
  journal_engines: { id: 'text', beats: LONG, started_at: 'text' },
  journal_runs: {
    id: 'text',
    workflow_id: 'text',
    flow: 'text',
    input: 'text',
    status: 'text',
    result: 'text?',
    error: 'text?',
    parent_run_id: 'text?',
    parent_seq: 'integer?',
    owner: 'text?',
    epoch: LONG,
    wake_at: 'text?',
    cancel_requested: 'integer',
    continued: 'integer',
    created_at: 'text',
    updated_at: 'text',
    completed_at: 'text?',
  },
  journal_entries: {
    run_id: 'text',
    seq: 'integer',
    kind: 'text',
    name: 'text',
    input_hash: 'text',
    status: 'text',
    attempt: 'integer',
    result: 'text?',
    error: 'text?',
    heartbeat: 'text?',
    due_at: 'text?',
    delivered: 'integer?',
    updated_at: 'text',
  },
  journal_signals: {
    workflow_id: 'text',
    signal_id: 'text',
    name: 'text',
    payload: 'text',
    run_id: 'text?',
    seq: 'integer?',
    created_at: 'text',
  },
};

/** Rows are numbered in the order in which they came. */
const NUMBERED = new Set([
  'execution_logs',
  'data_quality_metrics',
  'events_outbox',
  'audit_log',
  'journal_signals',
]);

const KEYS: Readonly<Record<string, readonly string[]>> = {
  setup_tokens: ['hash'],
  pipeline_streams: ['pipeline_id', 'stream'],
  pipeline_benthos_configurations: ['pipeline_id', 'benthos_configuration_id'],
  execution_layers: ['execution_id', 'layer'],
  checkpoints: ['pipeline_id', 'stream'],
  event_deliveries: ['publisher', 'outbox_id'],
  idempotency_keys: ['organization_id', 'key'],
  column_lineage: [
    'execution_id',
    'layer',
    'table_name',
    'column_name',
    'source_table',
    'source_column',
  ],
  journal_entries: ['run_id', 'seq'],
};

/** Unique where the name ends with `_key`. */
const INDEXES: readonly IndexSpec[] = [
  ['organizations_name_key', 'organizations', ['name']],
  ['users_email_key', 'users', ['email']],
  ['api_tokens_hash_key', 'api_tokens', ['hash']],
  ['data_keys_version_key', 'data_keys', ['organization_id', 'version']],
  ['connections_name_key', 'connections', ['organization_id', 'name']],
  ['pipelines_name_key', 'pipelines', ['organization_id', 'name']],
  ['connections_list', 'connections', ['organization_id', 'created_at', 'id']],
  ['pipelines_list', 'pipelines', ['organization_id', 'created_at', 'id']],
  ['api_tokens_list', 'api_tokens', ['organization_id', 'created_at', 'id']],
  ['idempotency_keys_age', 'idempotency_keys', ['created_at']],
  ['events_outbox_age', 'events_outbox', ['created_at']],
  ['pipelines_source', 'pipelines', ['source_connection_id']],
  ['pipelines_destination', 'pipelines', ['destination_connection_id']],
  ['benthos_configurations_name_key', 'benthos_configurations', ['organization_id', 'name']],
  ['schedules_pipeline_key', 'schedules', ['pipeline_id']],
  ['schedules_due', 'schedules', ['next_fire_at']],
  ...executionLists('list', []),
  ...executionLists('pipeline', ['pipeline_id']),
  ...executionLists('status', ['status']),
  ...executionLists('pipeline_status', ['pipeline_id', 'status']),
  ['executions_workflow', 'executions', ['workflow_id']],
  ['execution_logs_line_key', 'execution_logs', ['execution_id', 'line_key']],
  ['execution_logs_order', 'execution_logs', ['execution_id', 'id']],
  ['data_quality_metrics_time', 'data_quality_metrics', ['organization_id', 'timestamp']],
  ['data_quality_metrics_pipeline', 'data_quality_metrics', ['pipeline_id', 'timestamp']],
  ['data_quality_metrics_execution', 'data_quality_metrics', ['execution_id']],
  ['dead_letters_letter_key', 'dead_letters', ['pipeline_id', 'letter_id']],
  ['dead_letters_list', 'dead_letters', ['organization_id', 'created_at', 'id']],
  ['events_outbox_event_key', 'events_outbox', ['event_id']],
  ['events_outbox_list', 'events_outbox', ['organization_id', 'id']],
  ['event_deliveries_due', 'event_deliveries', ['publisher', 'next_attempt_at']],
  ['audit_log_list', 'audit_log', ['organization_id', 'id']],
  ['journal_runs_workflow', 'journal_runs', ['workflow_id', 'created_at']],
  ['journal_runs_wake', 'journal_runs', ['status', 'wake_at']],
  ['journal_runs_owner', 'journal_runs', ['owner']],
  ['journal_runs_ended', 'journal_runs', ['completed_at']],
  ['journal_runs_parent', 'journal_runs', ['parent_run_id', 'parent_seq']],
  ['journal_signals_key', 'journal_signals', ['workflow_id', 'signal_id']],
];

export async function up(db: Kysely<unknown>, dialect: 'sqlite' | 'postgres'): Promise<void> {
  for (const [table, columns] of Object.entries(TABLES)) {
    let create = db.schema.createTable(table);
    if (NUMBERED.has(table))
      create = create.addColumn('id', identity(dialect), (column) =>
        // Without it SQLite would give numbers of rows that were removed again.
        dialect === 'sqlite' ? column.primaryKey().autoIncrement() : column.primaryKey(),
      );
    for (const [name, spec] of Object.entries(columns)) {
      const nullable = spec.endsWith('?');
      const type = (nullable ? spec.slice(0, -1) : spec) as ColumnDataType;
      create = create.addColumn(name, type, (column) => (nullable ? column : column.notNull()));
    }
    const key = NUMBERED.has(table) ? null : (KEYS[table] ?? ['id']);
    if (key !== null) create = create.addPrimaryKeyConstraint(`${table}_pkey`, [...key] as never[]);
    await create.execute();
  }
  for (const [name, table, columns] of INDEXES) {
    const unique = name.endsWith('_key') ? sql`unique ` : sql``;
    const list = sql.join(columns.map((column) => sql.ref(column)));
    await sql`create ${unique}index ${sql.ref(name)} on ${sql.table(table)} (${list})`.execute(db);
  }
  // Whoever writes it: of the executions of a pipeline one runs at most.
  await sql`create unique index executions_running_key on executions (pipeline_id) where status = 'running'`.execute(
    db,
  );
  // One run of a workflow is open at a time.
  await sql`create unique index journal_runs_running_key on journal_runs (workflow_id) where status = 'running'`.execute(
    db,
  );
  if (dialect === 'sqlite') await tellSelectivity(db);
}
