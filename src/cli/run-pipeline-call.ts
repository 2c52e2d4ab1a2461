/** Runs a pipeline with a view and prints its result: copy, replicate and recover are this. */
import { asForebayError, type ExitCode, ForebayError } from '../core/errors.ts';
import type { RunMode, RunResult } from '../engine/pipeline.ts';
import { runPipeline } from '../engine/run.ts';
import type { CommandCall } from './call.ts';
import { readOptions, runShape } from './options.ts';
import { type PipelineCall, readPipelineCall } from './pipeline-call.ts';
import { failedResult, printResult, resultDocument, resultExitCode } from './result-output.ts';
import { watchSignals } from './signals.ts';
import type { Terminal } from './terminal.ts';
import { jsonView } from './view/json-view.ts';
import { liveView } from './view/live-view.ts';
import { plainView } from './view/plain-view.ts';
import type { RunView, ViewHeader } from './view/run-view.ts';

const DRAINING = 'Stopping: what is in hand is finished first. Once more to stop now.';

export function openView(terminal: Terminal, header: ViewHeader, json: boolean): RunView {
  if (json) return jsonView(terminal);
  return terminal.live ? liveView(terminal, header) : plainView(terminal, header);
}

async function runToResult(
  mode: RunMode,
  { spec, systems }: PipelineCall,
  view: RunView,
  drain: AbortSignal,
): Promise<RunResult> {
  const startedAt = performance.now();
  try {
    return await runPipeline(mode, spec, systems, { drain, observe: view.observe });
  } catch (error) {
    const known = drain.aborted
      ? new ForebayError('interrupted', { message: 'The run was interrupted', cause: error })
      : asForebayError(error);
    return failedResult(spec.name, known, performance.now() - startedAt);
  }
}

export async function runPipelineCall(
  call: CommandCall,
  mode: RunMode,
  defaultRetryForMs: number | null,
): Promise<ExitCode> {
  const { terminal } = call;
  const { json } = readOptions(runShape, call.options);
  const pipeline = await readPipelineCall(call, defaultRetryForMs);
  const { spec, source, destination } = pipeline;
  const view = openView(
    terminal,
    {
      mode: mode.kind,
      pipeline: spec.name,
      source: source.address.display,
      destination: destination.address.display,
    },
    json,
  );
  using interruption = watchSignals((text) => view.note(text), DRAINING);
  const result = await runToResult(mode, pipeline, view, interruption.signal);
  view.end();
  if (json) terminal.out(`${JSON.stringify(resultDocument(result))}\n`);
  else printResult(result, terminal);
  return resultExitCode(result);
}
