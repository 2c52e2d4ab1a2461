/** What copy, replicate, plan and recover have in common: two systems and the options between them. */
import type { z } from 'zod';
import { type NamedSystem, openDestination, openSource } from '../connectors/registry.ts';
import type { PipelineSpec, PipelineSystems } from '../engine/pipeline.ts';
import { DEFAULT_RETRY } from '../core/retry.ts';
import type { CommandCall } from './call.ts';
import { throwAll } from './failure.ts';
import { parseOptions, pipelineShape, readOptions } from './options.ts';
import { derivePipelineName } from './pipeline-name.ts';
import { checkSettings, type Settings, tryResolve } from './systems.ts';

const MIB = 1024 * 1024;

export interface PipelineCall {
  readonly spec: PipelineSpec;
  readonly source: NamedSystem;
  readonly destination: NamedSystem;
  readonly systems: PipelineSystems;
}

export function pipelineSystems(
  source: NamedSystem,
  destination: NamedSystem,
  settings: Settings,
): PipelineSystems {
  return {
    openSource: (context) => openSource(source, context),
    openDestination: (context) => openDestination(destination, context),
    sameSystem: source.address.identity === destination.address.identity,
    options: settings,
  };
}

type PipelineOptions = z.output<z.ZodObject<typeof pipelineShape>>;

function makeSpec(
  options: PipelineOptions,
  systems: { readonly source: NamedSystem; readonly destination: NamedSystem },
  defaultRetryForMs: number | null,
): PipelineSpec {
  const selection = options.streams ?? [];
  const targetNamespace = options.schema ?? null;
  const { load } = options;
  const source = systems.source.address;
  const destination = systems.destination.address;
  return {
    name:
      options.name ?? derivePipelineName({ source, destination, selection, targetNamespace, load }),
    selection,
    targetNamespace,
    targetTable: null,
    load,
    deletes: options.deletes,
    schemaChanges: options.schemaChanges,
    batchRows: options.batchRows,
    batchMs: options.batchMs,
    memoryBytes: options.memoryMib * MIB,
    parallel: options.parallel ?? null,
    errorBudget: options.errorBudget,
    retry: { ...DEFAULT_RETRY, giveUpAfterMs: options.retryFor ?? defaultRetryForMs },
    awaitSystems: false,
    exclusive: false,
    begins: 'snapshot',
  };
}

/** Validates everything before anything is connected to; all mistakes are thrown together. */
export async function readPipelineCall(
  call: CommandCall,
  defaultRetryForMs: number | null,
): Promise<PipelineCall> {
  const options = parseOptions(pipelineShape, call.options);
  const [source, destination] = await Promise.all([
    tryResolve(call.args[0] ?? ''),
    tryResolve(call.args[1] ?? ''),
  ]);
  const named = [source.system, destination.system];
  throwAll([
    ...[source, destination].flatMap(({ error }) => error ?? []),
    ...options.errors,
    ...(named.includes(null) ? [] : checkSettings(options.value?.set ?? {}, named)),
  ]);
  if (options.value === null || source.system === null || destination.system === null) {
    throw new Error('unreachable: what is missing was thrown above');
  }
  const systems = { source: source.system, destination: destination.system };
  return {
    ...systems,
    spec: makeSpec(options.value, systems, defaultRetryForMs),
    systems: pipelineSystems(systems.source, systems.destination, options.value.set),
  };
}

/** A pipeline of the program's own (the demo): defaults but for the options given. */
export function specifyPipeline(
  options: Readonly<Record<string, unknown>>,
  systems: { readonly source: NamedSystem; readonly destination: NamedSystem },
): PipelineCall {
  const read = readOptions(pipelineShape, options);
  return {
    ...systems,
    spec: makeSpec(read, systems, null),
    systems: pipelineSystems(systems.source, systems.destination, read.set),
  };
}
