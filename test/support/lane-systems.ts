// A pipeline's systems with a transformation between them.
import { openDestination, openSource, resolveSystem } from '../../src/connectors/registry.ts';
import type { PipelineSpec, PipelineSystems } from '../../src/engine/pipeline.ts';
import { transformDestination } from '../../src/transforms/lane/lane-destination.ts';
import type { LaneOptions } from '../../src/transforms/lane/options.ts';
import { laneOptions, type LaneSettings } from './lane-transforms.ts';
import { TEST_SPEC } from './pipeline-spec.ts';

const MIB = 1024 * 1024;

const { name: _name, ...UNNAMED } = TEST_SPEC;

export const LANE_SPEC: Omit<PipelineSpec, 'name'> = {
  ...UNNAMED,
  memoryBytes: 128 * MIB,
  errorBudget: 1000,
};

export type LaneExtras = Partial<Pick<LaneOptions, 'runner' | 'probe' | 'divert' | 'pushDown'>>;

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
