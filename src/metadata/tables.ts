/**
 * The metadata database as Kysely sees it, the same in SQLite and PostgreSQL.
 *
 * Times are text, RFC 3339 in UTC with milliseconds and `Z`, so that they sort. Truth values are 0 and 1. JSON is text.
 * Ids are UUIDv7. Counters and sizes are 64-bit integers and come as JavaScript numbers.
 */
import type { Generated } from 'kysely';
import type { Flag, Json, Time } from './column-types.ts';
import type {
  JournalEnginesTable,
  JournalEntriesTable,
  JournalRunsTable,
  JournalSignalsTable,
} from './journal-tables.ts';
import type {
  ApiTokensTable,
  DataKeysTable,
  OrganizationsTable,
  SetupTokensTable,
  UsersTable,
} from './tables-access.ts';

export type { Flag, Json, Time } from './column-types.ts';
export type * from './tables-access.ts';

export type ConnectionStatus = 'pending' | 'active' | 'error';

export interface ConnectionsTable {
  id: string;
  organization_id: string;
  name: string;
  connector_type: string;
  /** Fields that are no secrets. */
  config: Json;
  /** Enveloped JSON object of the secret fields. */
  secrets: string;
  status: ConnectionStatus;
  last_test_at: Time | null;
  last_test_result: Json | null;
  /** One more with each change; the ETag. */
  version: number;
  created_at: Time;
  updated_at: Time;
}

export interface PipelinesTable {
  id: string;
  organization_id: string;
  name: string;
  source_connection_id: string;
  destination_connection_id: string;
  /** Which flow runs it: `etl` (bronze, silver, gold), `replication`, `sync`, `ingestion`. */
  kind: string;
  /** Selection, load, transformations, layers, quality rules. */
  config: Json;
  is_active: Flag;
  last_run_at: Time | null;
  last_run_status: string | null;
  version: number;
  created_at: Time;
  updated_at: Time;
}

export interface PipelineStreamsTable {
  pipeline_id: string;
  organization_id: string;
  stream: string;
  position: number;
  config: Json;
}

export interface BenthosConfigurationsTable {
  id: string;
  organization_id: string;
  name: string;
  configuration: string;
  version: number;
  created_at: Time;
  updated_at: Time;
}

export interface PipelineBenthosConfigurationsTable {
  pipeline_id: string;
  organization_id: string;
  benthos_configuration_id: string;
  order: number;
}

export type ScheduleType = 'cron' | 'interval' | 'manual';
export type OverlapPolicy = 'skip' | 'buffer_one' | 'cancel_other' | 'allow';

/** One per pipeline. */
export interface SchedulesTable {
  id: string;
  organization_id: string;
  pipeline_id: string;
  schedule_type: ScheduleType;
  cron_expression: string | null;
  interval_seconds: number | null;
  time_zone: string;
  overlap_policy: OverlapPolicy;
  catchup_window_seconds: number;
  is_paused: Flag;
  last_fired_at: Time | null;
  /** Null where nothing is due: manual, paused, or the pipeline is disabled. */
  next_fire_at: Time | null;
  /** A start that waits for the one that runs (`buffer_one`). */
  buffered_at: Time | null;
  version: number;
  created_at: Time;
  updated_at: Time;
}

export type ExecutionStatus = 'scheduled' | 'running' | 'completed' | 'failed' | 'cancelled';
export type Trigger = 'manual' | 'schedule' | 'backfill' | 'api';

export interface ExecutionsTable {
  id: string;
  organization_id: string;
  pipeline_id: string;
  /** As it was called then. */
  pipeline_name: string;
  workflow: string;
  workflow_id: string;
  run_id: string | null;
  trigger: Trigger;
  parameters: Json;
  status: ExecutionStatus;
  /** An error report. */
  error: Json | null;
  output: Json | null;
  /** Of what is tried again: attempt, cause and next try. */
  retry: Json | null;
  /** What a replication under way is told: `pause`, `stop`, `reconfigure`. */
  control: string | null;
  records_processed: number | null;
  records_failed: number | null;
  size_bytes: number | null;
  scheduled_at: Time;
  started_at: Time | null;
  completed_at: Time | null;
  duration_ms: number | null;
}

export type Layer = 'bronze' | 'silver' | 'gold';
export type LayerStatus = 'pending' | 'running' | 'completed' | 'failed' | 'skipped';

export interface ExecutionLayersTable {
  execution_id: string;
  organization_id: string;
  layer: Layer;
  status: LayerStatus;
  records: number | null;
  records_filtered: number | null;
  records_deduplicated: number | null;
  size_bytes: number | null;
  /** JSON array of names. */
  tables: Json | null;
  error: Json | null;
  started_at: Time | null;
  completed_at: Time | null;
  duration_ms: number | null;
}

export type LogLevel = 'debug' | 'info' | 'warning' | 'error';

export interface ExecutionLogsTable {
  id: Generated<number>;
  organization_id: string;
  execution_id: string;
  /** Same line, same key: a line that is written again after a crash is not there twice. */
  line_key: string;
  timestamp: Time;
  level: LogLevel;
  layer: Layer | null;
  message: string;
  fields: Json | null;
}

/** A copy of what the destination has, for display. */
export interface CheckpointsTable {
  pipeline_id: string;
  organization_id: string;
  stream: string;
  position: string;
  checksum: string | null;
  events: number | null;
  committed_at: Time;
}

export type Severity = 'warn' | 'filter' | 'fail' | 'info';

export interface DataQualityMetricsTable {
  id: Generated<number>;
  organization_id: string;
  pipeline_id: string;
  execution_id: string;
  layer: Layer;
  stream: string;
  /** Null for totals, which belong to no rule. */
  rule: string | null;
  /** `total_records`, `valid_records`, `missing_fields`, `invalid_types`, `duplicates`, ... */
  metric_type: string;
  count: number;
  severity: Severity;
  details: Json | null;
  timestamp: Time;
}

export interface DeadLettersTable {
  id: string;
  organization_id: string;
  pipeline_id: string;
  execution_id: string | null;
  stream: string;
  letter_id: string;
  code: string;
  reason: string;
  created_at: Time;
  resolved_at: Time | null;
}

export interface EventsOutboxTable {
  id: Generated<number>;
  organization_id: string;
  event_id: string;
  type: string;
  subject: string;
  data: Json;
  created_at: Time;
}

export interface EventDeliveriesTable {
  outbox_id: number;
  publisher: string;
  attempts: number;
  next_attempt_at: Time | null;
  delivered_at: Time | null;
  last_error: string | null;
}

export interface AuditLogTable {
  id: Generated<number>;
  organization_id: string;
  /** `user:<id>`, `token:<id>` or `system`. */
  actor: string;
  action: string;
  resource_type: string;
  resource_id: string | null;
  /** Secrets are left out. */
  details: Json | null;
  address: string | null;
  timestamp: Time;
  /** SHA-256 over the row before and this one: what is taken out or changed shows. */
  hash: string;
}

export interface IdempotencyKeysTable {
  organization_id: string;
  key: string;
  method: string;
  path: string;
  body_hash: string;
  status: number;
  response: Json;
  created_at: Time;
}

/** Columns of tables of the layers, and of which columns they are made. */
export interface ColumnLineageTable {
  execution_id: string;
  organization_id: string;
  layer: Layer;
  table_name: string;
  column_name: string;
  source_table: string;
  source_column: string;
}

export interface MetadataTables {
  organizations: OrganizationsTable;
  users: UsersTable;
  api_tokens: ApiTokensTable;
  setup_tokens: SetupTokensTable;
  data_keys: DataKeysTable;
  connections: ConnectionsTable;
  pipelines: PipelinesTable;
  pipeline_streams: PipelineStreamsTable;
  benthos_configurations: BenthosConfigurationsTable;
  pipeline_benthos_configurations: PipelineBenthosConfigurationsTable;
  schedules: SchedulesTable;
  executions: ExecutionsTable;
  execution_layers: ExecutionLayersTable;
  execution_logs: ExecutionLogsTable;
  checkpoints: CheckpointsTable;
  data_quality_metrics: DataQualityMetricsTable;
  dead_letters: DeadLettersTable;
  events_outbox: EventsOutboxTable;
  event_deliveries: EventDeliveriesTable;
  audit_log: AuditLogTable;
  idempotency_keys: IdempotencyKeysTable;
  column_lineage: ColumnLineageTable;
  journal_engines: JournalEnginesTable;
  journal_runs: JournalRunsTable;
  journal_entries: JournalEntriesTable;
  journal_signals: JournalSignalsTable;
}
