/**
 * Reads a pipeline's streams into the bronze tables of its warehouse, each row with the execution that brought it.
 * A stream with a cursor column is read from its last value on; one whose changes can be followed is followed until
 * what was committed at the start is there; the others are read whole.
 */
import { type NamedSystem, openDestination, openSource } from '../../connectors/registry.ts';
import type { ConnectorContext } from '../../core/connector.ts';
import { type ErrorCode, ERROR_TABLE, ForebayError } from '../../core/errors.ts';
import type { Position } from '../../core/position.ts';
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
import type { KeyRange, TriggerParameters } from '../flows/activities.ts';
import type { BronzeReading } from '../../layers/readings.ts';
import { daysOf, keysOf } from './cursor-ranges.ts';
import { endFollowing } from './end-following.ts';
import { systemContext } from './system-context.ts';
import { type PipelineConfig, selectionOf, type StreamConfig } from './pipeline-config.ts';

const MIB = 1024 * 1024;
const MEMORY_BYTES = 256 * MIB;
const ERROR_BUDGET = 1000;
const BATCH_ROWS = 20_000;
const BATCH_MS = 200;

export const BRONZE = 'bronze';

export interface Extraction {
  readonly pipelineId: string;
  /** Rows say that it brought them; reading again under the same one takes the place of what it brought before. */
  readonly stamp: string;
  /** A part that is read beside others has an engine's pipeline of its own. */
  readonly part: number | null;
  readonly source: NamedSystem;
  readonly warehouse: NamedSystem;
  readonly config: PipelineConfig;
  readonly parameters: TriggerParameters;
  /** In place of all else: rows of each stream by a column that it names. */
  readonly keyRange?: KeyRange | null;
  /** Where streams with a cursor column go on; null: from the beginning. */
  readonly cursorsOf: (
    wanted: readonly StreamCursor[],
  ) => Promise<ReadonlyMap<StreamId, string | null>>;
  /** Before rows of them are read. */
  readonly begins: (readings: readonly BronzeReading[]) => Promise<void>;
  /** Silver is made of what is brought. */
  readonly hasSilver: boolean;
  readonly observe: (event: RunEvent) => void;
  readonly signal: AbortSignal;
}

export interface StreamCursor {
  readonly stream: StreamId;
  readonly column: string;
}

export interface ExtractedStream {
  readonly stream: StreamId;
  readonly schema: StreamSchema;
  readonly cursorColumn: string | null;
  /** Null where its changes were followed, or tell what is gone. */
  readonly reading: BronzeReading | null;
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

/** What the engine allows leaves five letters for the part. */
function nameOf({ pipelineId, part }: Extraction, kind: 'follow' | 'query'): string {
  const name = engineName(kind, pipelineId);
  return part === null ? name : `${name}_${part.toString(36)}`;
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

/** Names of the columns by which silver tells rows apart; none where nothing does. */
export function silverKey(
  config: PipelineConfig,
  stream: StreamId,
  { key, columns }: StreamSchema,
): readonly string[] {
  const own = streamConfigOf(config, stream)?.key;
  return own ?? key.map((index) => columns[index]?.name ?? '');
}

/** Which way each stream is read. */
export async function planExtraction(
  extraction: Pick<Extraction, 'config' | 'parameters' | 'keyRange' | 'cursorsOf'>,
  schemas: readonly StreamSchema[],
  canFollow: (schema: StreamSchema) => boolean,
): Promise<ExtractPlan> {
  const { config, parameters, keyRange = null, cursorsOf } = extraction;
  const follow: StreamId[] = [];
  const whole: StreamId[] = [];
  const ranges = new Map<StreamId, CursorRange>();
  const cursors = schemas.flatMap(({ stream }): StreamCursor[] => {
    const column = streamConfigOf(config, streamId(stream))?.cursor_column ?? null;
    return column === null ? [] : [{ stream: streamId(stream), column }];
  });
  const goOn = keyRange === null && parameters.dateRange === null && cursors.length > 0;
  const known = goOn ? await cursorsOf(cursors) : new Map<StreamId, string | null>();
  for (const schema of schemas) {
    const id = streamId(schema.stream);
    const cursor = streamConfigOf(config, id)?.cursor_column ?? null;
    if (keyRange !== null) ranges.set(id, keysOf(schema, keyRange));
    else if (parameters.dateRange !== null) {
      const column = cursor ?? config.event_time_column ?? null;
      ranges.set(id, daysOf(schema, column, parameters.dateRange));
    } else if (cursor !== null) {
      // A row that has no value yet would be in no range, and never come.
      ranges.set(id, { column: cursor, from: known.get(id) ?? null, to: null, withNulls: true });
    } else if (canFollow(schema) && !parameters.force) follow.push(id);
    else whole.push(id);
  }
  return { follow, ranges, whole };
}

function specFor(
  extraction: Extraction,
  kind: 'follow' | 'query',
  what: Pick<PipelineSpec, 'selection' | 'ranges' | 'placed'>,
): PipelineSpec {
  return {
    name: nameOf(extraction, kind),
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
    ...what,
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
  return systemContext(signal, MEMORY_BYTES);
}

export async function discoverSelected(
  extraction: Pick<Extraction, 'source' | 'config' | 'signal'>,
): Promise<{ readonly schemas: readonly StreamSchema[]; readonly hasLog: boolean }> {
  await using source = await openSource(extraction.source, contextOf(extraction.signal));
  const selected = selectStreams(await source.discover(), selectionOf(extraction.config));
  assertOneSchema(selected.map(({ schema }) => schema.stream.name));
  return {
    schemas: selected.map(({ schema }) => schema),
    hasLog: source.changes !== undefined,
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
  // A copy goes on with its other streams; what it did not read is not done all the same.
  const halted = mode.kind === 'copy' ? result.streams.find(({ paused }) => paused !== null) : null;
  if (halted?.paused) {
    const { code, reason: message, fix } = halted.paused;
    const known = code in ERROR_TABLE ? (code as ErrorCode) : 'schema_change';
    throw new ForebayError(known, { message, fix, stream: halted.stream });
  }
  return result;
}

/**
 * How far the streams that are followed have come. Rows of them that are read by query are at least as new as that, and
 * older than what the next execution brings.
 */
async function placesOf({
  warehouse,
  pipelineId,
  signal,
}: Extraction): Promise<ReadonlyMap<StreamId, Position>> {
  await using destination = await openDestination(warehouse, contextOf(signal));
  const state = await destination.readState(engineName('follow', pipelineId));
  const position = state?.checkpoint?.position;
  if (position === undefined) return new Map();
  return new Map(state?.streams.map(({ stream }) => [stream, position]));
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

/** With the streams of the pipeline that only parts of it have brought, which are forgotten when they are done. */
export async function landedAndSelected(
  from: Pick<Extraction, 'warehouse' | 'pipelineId' | 'source' | 'config' | 'signal'>,
): Promise<readonly LandedStream[]> {
  const landed = await landedStreams(from.warehouse, from.pipelineId, from.signal);
  const known = new Set(landed.map(({ stream }) => stream));
  const { schemas } = await discoverSelected(from);
  const others = schemas.map((schema) => ({ stream: streamId(schema.stream), schema }));
  return [...landed, ...others.filter(({ stream }) => !known.has(stream))];
}

/** Changes of rows that nothing tells apart are a log of them, and no more: silver takes those as they stand. */
function isFollowed({ identity }: StreamSchema, hasSilver: boolean): boolean {
  return identity === 'key' || (identity === 'whole-row' && !hasSilver);
}

/** What is read again of a table, where what was there before makes room for it. */
function readingOf(
  { ranges, whole }: ExtractPlan,
  schema: StreamSchema,
  follows: boolean,
): BronzeReading | null {
  const id = streamId(schema.stream);
  const table = schema.stream.name;
  const range = ranges.get(id);
  if (range !== undefined) {
    const { column, from, to, withNulls = from === null && to === null } = range;
    return { table, range: { column, from, to, withNulls } };
  }
  return whole.includes(id) && !follows ? { table, range: null } : null;
}

export async function extract(extraction: Extraction): Promise<readonly ExtractedStream[]> {
  const { schemas, hasLog } = await discoverSelected(extraction);
  const canFollow = (schema: StreamSchema): boolean =>
    hasLog && isFollowed(schema, extraction.hasSilver);
  const plan = await planExtraction(extraction, schemas, canFollow);
  const results: RunResult[] = [];
  if (plan.follow.length > 0) {
    const spec = specFor(extraction, 'follow', { selection: plan.follow, ranges: new Map() });
    results.push(await run(extraction, { kind: 'replicate', untilCaughtUp: true }, spec));
  }
  const queried = [...plan.ranges.keys(), ...plan.whole];
  const readings = new Map(
    schemas.flatMap((schema): [StreamId, BronzeReading][] => {
      const id = streamId(schema.stream);
      // Rows with a key make room for themselves; silver may have been given another one, or none.
      const isNoted = extraction.hasSilver || schema.identity !== 'key';
      const reading = isNoted ? readingOf(plan, schema, canFollow(schema)) : null;
      return reading === null ? [] : [[id, reading]];
    }),
  );
  await extraction.begins([...readings.values()]);
  if (queried.length > 0) {
    const placed = await placesOf(extraction);
    const spec = specFor(extraction, 'query', { selection: queried, ranges: plan.ranges, placed });
    results.push(await run(extraction, { kind: 'copy' }, spec));
  }
  const { warehouse, pipelineId, part, parameters, signal } = extraction;
  const isPartial = part !== null || parameters.force || parameters.dateRange !== null;
  if (hasLog && plan.follow.length === 0 && !isPartial)
    await endFollowing(engineName('follow', pipelineId), extraction, queried);
  // What a part brought is not remembered.
  const landed = part === null ? await landedStreams(warehouse, pipelineId, signal) : [];
  const remembered = new Map(landed.map(({ stream, schema }) => [stream, schema]));
  const discovered = new Map(schemas.map((schema) => [streamId(schema.stream), schema]));
  return results.flatMap(({ streams }) =>
    streams.flatMap((stream): ExtractedStream[] => {
      const id = stream.stream;
      const schema = remembered.get(id) ?? discovered.get(id);
      if (schema === undefined) return [];
      const { read, applied, deadLettered, bytes } = stream;
      const cursorColumn = plan.ranges.get(id)?.column ?? null;
      const reading = readings.get(id) ?? null;
      return [{ stream: id, schema, cursorColumn, reading, read, applied, deadLettered, bytes }];
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
