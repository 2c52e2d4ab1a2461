import type { RunCommand } from '../call.ts';
import { runPipelineCall } from '../run-pipeline-call.ts';

export const run: RunCommand = (call) => runPipelineCall(call, { kind: 'recover' }, 5 * 60_000);
