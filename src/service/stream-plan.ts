/** An entry of `streams` as the engine runs it. Follows references at this moment; connects to nothing. */
import { createHash } from 'node:crypto';
import {
  type NamedSystem,
  openDestination,
  openSource,
  resolveSystem,
} from '../connectors/registry.ts';
import type { ConnectorContext, Destination } from '../core/connector.ts';
import { ForebayError } from '../core/errors.ts';
import type { RetryPolicy } from '../core/retry.ts';
import type { PipelineSpec, PipelineSystems, RunMode } from '../engine/pipeline.ts';
import { credentialsOf } from './authentication/credentials.ts';
import { connectionUrl } from './connection-url.ts';
import type { LoadedConfiguration } from './configuration/inspect.ts';
import { printProblem } from './configuration/problem.ts';
import {
  type ResolvedSystem,
  type ResolvedTransformation,
  resolveReferences,
} from './configuration/resolve.ts';
import type { StreamConfiguration } from './configuration/schema.ts';
import { readTables } from './configuration/tables.ts';
import { letterPlace } from './letter-place.ts';
import { openTransformed, type StreamTransformation } from './transformation.ts';

const MIB = 1024 * 1024;
const MEMORY_BYTES = 256 * MIB;
const ERROR_BUDGET = 1000;
const BATCH_MS = 200;
const PIPELINE_NAME = /^[a-z0-9_]{1,40}$/;
const READABLE_LENGTH = 31;

export interface StreamPlan {
  readonly mode: RunMode;
  readonly spec: PipelineSpec;
  readonly systems: PipelineSystems;
  /** For looking at what stands there: without the transformation and where its dead letters go. */
  readonly openPlain: PipelineSystems['openDestination'];
}

/** The id where it may be a pipeline's name, else what is readable of it and a hash; the same for ever. */
export function pipelineNameOf(id: string): string {
  if (PIPELINE_NAME.test(id)) return id;
  const readable = id
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '_')
    .slice(0, READABLE_LENGTH);
  const hash = createHash('sha256').update(id).digest('hex').slice(0, 8);
  return `${readable}_${hash}`;
}

export function retryOf({ retry_policy: policy }: StreamConfiguration): RetryPolicy {
  return {
    initialDelayMs: policy.initial_delay.ms,
    maxDelayMs: policy.max_delay.ms,
    multiplier: policy.backoff_multiplier,
    giveUpAfterMs: null,
    maxAttempts: policy.max_attempts,
    permanentCodes: policy.permanent_error_codes,
  };
}

function selectionOf({ source }: StreamConfiguration): readonly string[] {
  const { glob, exclude } = readTables(
    { type: source.type, database: source.database, table: source.collection_table ?? null },
    source.change_stream_options.exclude,
  );
  return [glob, ...exclude.map((one) => `!${one}`)];
}

interface TargetPlace {
  readonly targetNamespace: string | null;
  readonly targetTable: string | null;
}

function targetOf({ destination }: StreamConfiguration): TargetPlace {
  const given = destination.collection_table ?? null;
  const dot = given?.indexOf('.') ?? -1;
  const schema = given === null || dot < 0 ? null : given.slice(0, dot);
  return {
    targetNamespace: destination.write_options.schema ?? schema,
    targetTable: given === null ? null : given.slice(dot + 1),
  };
}

function notThere(stream: StreamConfiguration, what: string, fix: string): ForebayError {
  return new ForebayError('capability_missing', { message: `stream ${stream.id}: ${what}`, fix });
}

function loadOf(stream: StreamConfiguration): PipelineSpec['load'] {
  const { load } = stream.destination.write_options;
  if (load !== 'history') return load;
  throw notThere(stream, 'load history is not there yet', 'Use upsert, append or replace.');
}

/** `letters`: whoever wants rejected rows as dead letters wants all of them. */
function specOf(stream: StreamConfiguration, letters: boolean): PipelineSpec {
  const options = stream.source.change_stream_options;
  const { deletes, batch_interval: interval } = stream.destination.write_options;
  return {
    name: pipelineNameOf(stream.id),
    selection: selectionOf(stream),
    ...targetOf(stream),
    load: loadOf(stream),
    deletes,
    schemaChanges: options.schema_changes,
    batchRows: stream.batch_size,
    batchMs: interval?.ms ?? BATCH_MS,
    memoryBytes: MEMORY_BYTES,
    parallel: options.parallel ?? null,
    errorBudget: letters ? Number.MAX_SAFE_INTEGER : ERROR_BUDGET,
    retry: retryOf(stream),
    awaitSystems: true,
    exclusive: true,
    begins: options.mode === 'changes' ? 'changes' : 'snapshot',
  };
}

function wantsLetters(transformation: ResolvedTransformation | null): boolean {
  const errors = transformation?.errors;
  return errors?.on_error === 'dead_letter' || errors?.dead_letter_destination !== undefined;
}

/** Options of the connectors themselves, under the names that `--set` has for them. */
function settingsOf({ source }: StreamConfiguration): Readonly<Record<string, string>> {
  const { heartbeat_interval: heartbeat, slot, publication } = source.change_stream_options;
  const given = {
    'heartbeat-ms': heartbeat === undefined ? undefined : String(heartbeat.ms),
    slot,
    publication,
  };
  return Object.fromEntries(
    Object.entries(given).flatMap(([key, value]) =>
      value === undefined ? [] : [[`${source.type}.${key}`, value]],
    ),
  );
}

async function nameSystem(
  stream: StreamConfiguration,
  role: 'source' | 'destination',
  resolved: ResolvedSystem,
  folder: string,
): Promise<NamedSystem> {
  const { type, database } = stream[role];
  if (type !== 'postgres') {
    const fix = 'Use postgres, or disable the stream until its connector comes.';
    throw notThere(stream, `${type} has no connector in this release`, fix);
  }
  const { connection, authentication } = resolved;
  return await resolveSystem(
    connectionUrl({ type, database, connection }).reveal(),
    authentication === null ? null : credentialsOf(authentication, folder),
  );
}

export interface PlanOptions {
  readonly untilCaughtUp: boolean;
  /** Documents that go into the transformation, less those that have come out. */
  readonly moving: (change: number) => void;
  /** Nothing is written: the place of dead letters, which may be made by opening it, is left alone. */
  readonly onlyLooks?: boolean;
}

function transformationOf(
  loaded: LoadedConfiguration,
  stream: StreamConfiguration,
  parts: {
    readonly transformation: ResolvedTransformation;
    readonly spec: PipelineSpec;
    readonly open: (context: ConnectorContext) => Promise<Destination>;
    readonly options: PlanOptions;
  },
): StreamTransformation {
  const { transformation: resolved, spec, open, options } = parts;
  const { folder } = loaded.surroundings;
  const letters = options.onlyLooks === true ? null : (resolved.deadLetters?.reveal() ?? null);
  const place = { pipeline: spec.name, folder, openDestination: open };
  return {
    resolved,
    flatten: stream.destination.write_options.flatten ?? null,
    schemaChanges: spec.schemaChanges,
    folder,
    openLetters: letters === null ? null : letterPlace({ ...place, text: letters }),
    moving: options.moving,
  };
}

/** Fails with `configuration_invalid` where a reference leads nowhere by now. */
export async function planStream(
  loaded: LoadedConfiguration,
  stream: StreamConfiguration,
  options: PlanOptions,
): Promise<StreamPlan> {
  const result = resolveReferences(loaded, stream);
  if (result.kind === 'unresolved') {
    throw new ForebayError('configuration_invalid', {
      message: result.problems.map(printProblem).join('; '),
    });
  }
  const { folder } = loaded.surroundings;
  const source = await nameSystem(stream, 'source', result.stream.source, folder);
  const destination = await nameSystem(stream, 'destination', result.stream.destination, folder);
  const { mode } = stream.source.change_stream_options;
  const { untilCaughtUp } = options;
  const { transformation } = result.stream;
  const spec = specOf(stream, wantsLetters(transformation));
  const open = (context: ConnectorContext): Promise<Destination> =>
    openDestination(destination, context);
  const transformed =
    transformation === null
      ? null
      : transformationOf(loaded, stream, { transformation, spec, open, options });
  return {
    mode: mode === 'snapshot' ? { kind: 'copy' } : { kind: 'replicate', untilCaughtUp },
    spec,
    openPlain: open,
    systems: {
      openSource: (context) => openSource(source, context),
      openDestination: (context) =>
        transformed === null
          ? open(context)
          : openTransformed(transformed, context, () => open(context)),
      sameSystem: source.address.identity === destination.address.identity,
      options: settingsOf(stream),
    },
  };
}
