/** The demo's pipeline, through the same engine and connectors as any other. */
import { resolveSystem } from '../../connectors/registry.ts';
import type { RunEvent, RunResult } from '../../engine/pipeline.ts';
import { runPipeline } from '../../engine/run.ts';
import { type PipelineCall, specifyPipeline } from '../pipeline-call.ts';
import type { RunView } from '../view/run-view.ts';

export async function demoPipeline(
  sourceUrl: string,
  destinationUrl: string,
): Promise<PipelineCall> {
  const [source, destination] = await Promise.all([
    resolveSystem(sourceUrl),
    resolveSystem(destinationUrl),
  ]);
  return specifyPipeline({ name: 'demo' }, { source, destination });
}

export interface RunningDemo {
  readonly result: Promise<RunResult>;
  /** Ends the run in order. */
  readonly stop: () => void;
  /** Aborts when the run has ended, by itself or because it was stopped. */
  readonly ended: AbortSignal;
}

export function startReplication(pipeline: PipelineCall, view: RunView): RunningDemo {
  const drain = new AbortController();
  const ended = new AbortController();
  const result = runPipeline(
    { kind: 'replicate', untilCaughtUp: false },
    pipeline.spec,
    pipeline.systems,
    { drain: drain.signal, observe: view.observe },
  ).finally(() => ended.abort());
  // Awaited after the writer has ended; a failure before that must not count as unhandled.
  result.catch(() => {});
  return { result, stop: () => drain.abort(), ended: ended.signal };
}

/** Takes the pipeline up where it was stopped, until everything that was committed has arrived. */
export function catchUp(
  pipeline: PipelineCall,
  drain: AbortSignal,
  observe: (event: RunEvent) => void,
): Promise<RunResult> {
  const mode = { kind: 'replicate', untilCaughtUp: true } as const;
  return runPipeline(mode, pipeline.spec, pipeline.systems, { drain, observe });
}
