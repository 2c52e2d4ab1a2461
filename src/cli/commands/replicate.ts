import type { RunCommand } from '../call.ts';
import { runPipelineCall } from '../run-pipeline-call.ts';

export const run: RunCommand = (call) => {
  const untilCaughtUp = call.options['untilCaughtUp'] === true;
  return runPipelineCall(call, { kind: 'replicate', untilCaughtUp }, null);
};
