// What a pipeline is asked for where a test calls the engine itself.
import { DEFAULT_RETRY } from '../../src/core/retry.ts';
import type { PipelineSpec } from '../../src/engine/pipeline.ts';

/** Small batches, one try, no refused row. */
export const TEST_SPEC: PipelineSpec = {
  name: 'test',
  selection: [],
  targetNamespace: null,
  targetTable: null,
  load: 'upsert',
  deletes: 'hard',
  schemaChanges: 'evolve',
  batchRows: 1000,
  batchMs: 10,
  memoryBytes: 64 * 1024 * 1024,
  parallel: null,
  errorBudget: 0,
  retry: { ...DEFAULT_RETRY, giveUpAfterMs: 0 },
  awaitSystems: false,
  exclusive: false,
  begins: 'snapshot',
};
