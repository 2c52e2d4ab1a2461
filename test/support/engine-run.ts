// A run in this process, between systems that the command line cannot name.
import { type NamedSystem, openDestination, openSource } from '../../src/connectors/registry.ts';
import type { RunResult } from '../../src/engine/pipeline.ts';
import { runPipeline } from '../../src/engine/run.ts';
import { TEST_SPEC } from './pipeline-spec.ts';

/** Snapshot, then changes until caught up. */
export function catchUp(source: NamedSystem, destination: NamedSystem): Promise<RunResult> {
  return runPipeline(
    { kind: 'replicate', untilCaughtUp: true },
    TEST_SPEC,
    {
      openSource: (context) => openSource(source, context),
      openDestination: (context) => openDestination(destination, context),
      sameSystem: false,
      options: {},
    },
    { drain: new AbortController().signal, observe: () => {} },
  );
}
