// A pipeline's systems with a transformation between them.
import { openDestination, openSource } from '../../src/cli/systems.ts';
import { resolveSystem } from '../../src/connectors/registry.ts';
import { DEFAULT_RETRY } from '../../src/core/retry.ts';
import type { PipelineSpec, PipelineSystems } from '../../src/engine/pipeline.ts';
import { transformDestination } from '../../src/transforms/lane/lane-destination.ts';
import type { LaneOptions } from '../../src/transforms/lane/options.ts';
import { laneOptions, type LaneSettings } from './lane-transforms.ts';

const MIB = 1024 * 1024;

export const LANE_SPEC: Omit<PipelineSpec, 'name'> = {
  selection: [],
  targetNamespace: null,
  load: 'upsert',
  deletes: 'hard',
  schemaChanges: 'evolve',
  batchRows: 1000,
  batchMs: 10,
  memoryBytes: 128 * MIB,
  parallel: null,
  errorBudget: 1000,
  targetTable: null,
  retry: { ...DEFAULT_RETRY, giveUpAfterMs: 0 },
  awaitSystems: false,
  exclusive: false,
  begins: 'snapshot',
};

export type LaneExtras = Partial<Pick<LaneOptions, 'runner' | 'probe' | 'divert'>>;

/** Without settings nothing is transformed. */
export function laneSystems(
  urls: readonly [string, string],
  settings: LaneSettings | null,
  extras: LaneExtras = {},
): PipelineSystems {
  return {
    openSource: async (context) => openSource(await resolveSystem(urls[0]), context),
    openDestination: async (context) => {
      const opened = await openDestination(await resolveSystem(urls[1]), context);
      if (settings === null) return opened;
      return transformDestination(opened, { ...laneOptions(settings), ...extras, context });
    },
    sameSystem: false,
    options: {},
  };
}
