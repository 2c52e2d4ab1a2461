// A run in this process, between systems that the command line cannot name.
import { openDestination, openSource } from '../../src/cli/systems.ts';
import type { NamedSystem } from '../../src/connectors/registry.ts';
import { DEFAULT_RETRY } from '../../src/core/retry.ts';
import type { PipelineSpec, RunResult } from '../../src/engine/pipeline.ts';
import { runPipeline } from '../../src/engine/run.ts';

const SPEC: PipelineSpec = {
  name: 'test',
  selection: [],
  targetNamespace: null,
  load: 'upsert',
  deletes: 'hard',
  schemaChanges: 'evolve',
  batchRows: 1000,
  batchMs: 10,
  memoryBytes: 64 * 1024 * 1024,
  parallel: null,
  errorBudget: 0,
  targetTable: null,
  retry: { ...DEFAULT_RETRY, giveUpAfterMs: 0 },
  awaitSystems: false,
  exclusive: false,
  begins: 'snapshot',
};

/** Snapshot, then changes until caught up. */
export function catchUp(source: NamedSystem, destination: NamedSystem): Promise<RunResult> {
  return runPipeline(
    { kind: 'replicate', untilCaughtUp: true },
    SPEC,
    {
      openSource: (context) => openSource(source, context),
      openDestination: (context) => openDestination(destination, context),
      sameSystem: false,
      options: {},
    },
    { drain: new AbortController().signal, observe: () => {} },
  );
}
