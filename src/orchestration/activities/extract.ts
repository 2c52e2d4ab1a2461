/**
 * Reads a pipeline's streams into the bronze tables of its warehouse, each row with the execution that brought it.
 * A stream with a cursor column is read from its last value on; one whose changes can be followed is followed until
 * what was committed at the start is there; the others are read whole.
 */
import { createHash } from 'node:crypto';
import { type NamedSystem, openDestination, openSource } from '../../connectors/registry.ts';
import type { ConnectorContext } from '../../core/connector.ts';
import { ForebayError } from '../../core/errors.ts';
import { SlabPool } from '../../core/slab.ts';
import { type StreamId, streamId, type StreamSchema } from '../../core/stream-schema.ts';
import type {
  CursorRange,
  PipelineSpec,
  PipelineSystems,
  RunEvent,
  RunMode,
  RunResult,
} from '../../engine/pipeline.ts';
import { runPipeline } from '../../engine/run.ts';
import { matches } from '../../engine/selection.ts';
import { fromRecord } from '../../engine/stream-state.ts';
import { selectStreams } from '../../engine/targets.ts';
import type { TriggerParameters } from '../flows/activities.ts';
import { type PipelineConfig, selectionOf, type StreamConfig } from './pipeline-config.ts';

const MIB = 1024 * 1024;
const MEMORY_BYTES = 256 * MIB;
const ERROR_BUDGET = 1000;
const BATCH_ROWS = 20_000;
const BATCH_MS = 200;
const DAY_MS = 86_400_000;

export const BRONZE = 'bronze';

export interface Extraction {
  readonly pipelineId: string;
  /** Rows say that it brought them; reading again under the same one takes the place of what it brought before. */
  readonly stamp: string;
  /** A part that is read beside others has an engine's pipeline of its own. */
  readonly part: string | null;
  readonly source: NamedSystem;
  readonly warehouse: NamedSystem;
  readonly config: PipelineConfig;
  readonly parameters: TriggerParameters;
  /** Where a stream with a cursor column goes on; null: from its beginning. */
  readonly cursorOf: (stream: StreamId, column: string) => Promise<string | null>;
  readonly observe: (event: RunEvent) => void;
  readonly signal: AbortSignal;
}

export interface ExtractedStream {
  readonly stream: StreamId;
  readonly schema: StreamSchema;
  readonly cursorColumn: string | null;
  readonly read: number;
  readonly applied: number;
  readonly deadLettered: number;
  readonly bytes: number;
}

/** `follow`: changes since the last execution; `ranges`: rows by a column; `whole`: all rows again. */
export interface ExtractPlan {
  readonly follow: readonly StreamId[];
  readonly ranges: ReadonlyMap<StreamId, CursorRange>;
  readonly whole: readonly StreamId[];
}

/** Names of the engine's pipelines: one that follows changes, and one that reads by query. */
export function engineName(kind: 'follow' | 'query', pipelineId: string): string {
  return `${kind === 'follow' ? 'p' : 'q'}_${pipelineId.replaceAll('-', '')}`;
}

const PART_LENGTH = 5;

function nameOf({ pipelineId, part }: Extraction, kind: 'follow' | 'query'): string {
  if (part === null) return engineName(kind, pipelineId);
  const hash = createHash('sha256').update(part).digest('hex').slice(0, PART_LENGTH);
  return `${engineName(kind, pipelineId)}_${hash}`;
}

/** What the warehouse remembers of a part that is done; its rows stay. */
export async function forgetPart(extraction: Extraction): Promise<void> {
  if (extraction.part === null) return;
  await using destination = await openDestination(
    extraction.warehouse,
    contextOf(extraction.signal),
  );
  await destination.drop(nameOf(extraction, 'query'));
}

export function streamConfigOf(config: PipelineConfig, stream: StreamId): StreamConfig | null {
  return config.streams.find((entry) => matches([entry.stream], stream)) ?? null;
}

function nextDay(day: string): string {
  return new Date(Date.parse(`${day}T00:00:00Z`) + DAY_MS).toISOString().slice(0, 10);
}

/** Days are UTC's, whatever the zone of the column. */
function dayBound(schema: StreamSchema, column: string, day: string): string {
  const type = schema.columns.find(({ name }) => name === column)?.type;
  return type?.kind === 'timestamp' ? `${day} 00:00:00${type.zoned ? '+00' : ''}` : day;
}

function dateRange(
  schema: StreamSchema,
  column: string | null,
  range: NonNullable<TriggerParameters['dateRange']>,
): CursorRange {
  const stream = streamId(schema.stream);
  if (column === null) {
    throw new ForebayError('request_unprocessable', {
      message: `${stream} has no cursor column, and the pipeline names no event_time_column`,
      fix: 'Name the column that the days of date_range are told by, or leave date_range out.',
      stream,
    });
  }
  const from = dayBound(schema, column, range.start);
  return { column, from, to: dayBound(schema, column, nextDay(range.end)) };
}

/** Which way each stream is read. */
export async function planExtraction(
  extraction: Pick<Extraction, 'config' | 'parameters' | 'cursorOf'>,
  schemas: readonly StreamSchema[],
  canFollow: boolean,
): Promise<ExtractPlan> {
  const { config, parameters, cursorOf } = extraction;
  const follow: StreamId[] = [];
  const whole: StreamId[] = [];
  const ranges = new Map<StreamId, CursorRange>();
  for (const schema of schemas) {
    const id = streamId(schema.stream);
    const cursor = streamConfigOf(config, id)?.cursor_column ?? null;
    if (parameters.dateRange !== null) {
      const column = cursor ?? config.event_time_column ?? null;
      ranges.set(id, dateRange(schema, column, parameters.dateRange));
    } else if (cursor !== null) {
      const from = parameters.force ? null : await cursorOf(id, cursor);
      ranges.set(id, { column: cursor, from, to: null });
    } else if (canFollow && schema.identity !== 'none' && !parameters.force) follow.push(id);
    else whole.push(id);
  }
  return { follow, ranges, whole };
}

function specFor(
  extraction: Extraction,
  kind: 'follow' | 'query',
  what: { readonly selection: readonly string[]; readonly ranges: ExtractPlan['ranges'] },
): PipelineSpec {
  return {
    name: nameOf(extraction, kind),
    selection: what.selection,
    targetNamespace: BRONZE,
    targetTable: null,
    load: 'append',
    deletes: 'hard',
    schemaChanges: extraction.config.schema_changes,
    batchRows: BATCH_ROWS,
    batchMs: BATCH_MS,
    memoryBytes: MEMORY_BYTES,
    parallel: null,
    errorBudget: ERROR_BUDGET,
    // A failure goes to the flow, which waits durably.
    retry: {
      initialDelayMs: 0,
      maxDelayMs: 0,
      multiplier: 1,
      giveUpAfterMs: null,
      maxAttempts: 1,
      permanentCodes: [],
    },
    awaitSystems: false,
    exclusive: true,
    begins: 'snapshot',
    stamp: extraction.stamp,
    ranges: what.ranges,
  };
}

function systemsOf({ source, warehouse }: Extraction): PipelineSystems {
  return {
    openSource: (context) => openSource(source, context),
    openDestination: (context) => openDestination(warehouse, context),
    sameSystem: source.address.identity === warehouse.address.identity,
    options: {},
  };
}

function contextOf(signal: AbortSignal): ConnectorContext {
  return {
    signal,
    slabs: new SlabPool(0),
    memoryBytes: MEMORY_BYTES,
    options: {},
    notice: () => {},
  };
}

async function discoverSelected(
  extraction: Extraction,
): Promise<{ readonly schemas: readonly StreamSchema[]; readonly canFollow: boolean }> {
  await using source = await openSource(extraction.source, contextOf(extraction.signal));
  const selected = selectStreams(await source.discover(), selectionOf(extraction.config));
  assertOneSchema(selected.map(({ schema }) => schema.stream.name));
  return {
    schemas: selected.map(({ schema }) => schema),
    canFollow: source.changes !== undefined,
  };
}

async function run(extraction: Extraction, mode: RunMode, spec: PipelineSpec): Promise<RunResult> {
  const { signal, observe } = extraction;
  const result = await runPipeline(mode, spec, systemsOf(extraction), { drain: signal, observe });
  signal.throwIfAborted();
  if (result.error !== null) {
    const { code, message, fix, stream } = result.error;
    throw new ForebayError(code, { message, fix, ...(stream === null ? {} : { stream }) });
  }
  return result;
}

export interface LandedStream {
  readonly stream: StreamId;
  /** Columns and key as they stand in bronze. */
  readonly schema: StreamSchema;
}

/** What the warehouse remembers of a pipeline's streams. */
export async function landedStreams(
  warehouse: NamedSystem,
  pipelineId: string,
  signal: AbortSignal,
): Promise<readonly LandedStream[]> {
  await using destination = await openDestination(warehouse, contextOf(signal));
  const schemas = new Map<StreamId, StreamSchema>();
  for (const kind of ['query', 'follow'] as const) {
    const state = await destination.readState(engineName(kind, pipelineId));
    for (const { target } of (state?.streams ?? []).map(fromRecord))
      schemas.set(target.id, target.schema);
  }
  return [...schemas].map(([stream, schema]) => ({ stream, schema }));
}

export async function extract(extraction: Extraction): Promise<readonly ExtractedStream[]> {
  const { schemas, canFollow } = await discoverSelected(extraction);
  const plan = await planExtraction(extraction, schemas, canFollow);
  const results: RunResult[] = [];
  if (plan.follow.length > 0) {
    const spec = specFor(extraction, 'follow', { selection: plan.follow, ranges: new Map() });
    results.push(await run(extraction, { kind: 'replicate', untilCaughtUp: true }, spec));
  }
  const queried = [...plan.ranges.keys(), ...plan.whole];
  if (queried.length > 0) {
    const spec = specFor(extraction, 'query', { selection: queried, ranges: plan.ranges });
    results.push(await run(extraction, { kind: 'copy' }, spec));
  }
  const { warehouse, pipelineId, signal } = extraction;
  const landed = await landedStreams(warehouse, pipelineId, signal);
  const remembered = new Map(landed.map(({ stream, schema }) => [stream, schema]));
  const discovered = new Map(schemas.map((schema) => [streamId(schema.stream), schema]));
  return results.flatMap(({ streams }) =>
    streams.flatMap((stream): ExtractedStream[] => {
      const id = stream.stream;
      const schema = remembered.get(id) ?? discovered.get(id);
      if (schema === undefined) return [];
      const { read, applied, deadLettered, bytes } = stream;
      const cursorColumn = plan.ranges.get(id)?.column ?? null;
      return [{ stream: id, schema, cursorColumn, read, applied, deadLettered, bytes }];
    }),
  );
}

/** No two streams may land in one table: only the last part of their names tells them apart in a layer. */
function assertOneSchema(names: readonly string[]): void {
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice === undefined) return;
  throw new ForebayError('name_collision', {
    message: `two streams of the pipeline would land in ${BRONZE}.${twice}`,
    fix: 'Put them into pipelines of their own.',
  });
}
