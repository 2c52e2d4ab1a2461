import type { RunCommand } from '../call.ts';
import { runPipelineCall } from '../run-pipeline-call.ts';

const RETRY_FOR_MS = 5 * 60_000;

export const run: RunCommand = (call) => runPipelineCall(call, { kind: 'copy' }, RETRY_FOR_MS);
