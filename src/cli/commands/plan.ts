import { z } from 'zod';
import { type ExitCode, ForebayError } from '../../core/errors.ts';
import type { PipelinePlan } from '../../engine/pipeline.ts';
import { planPipeline } from '../../engine/plan.ts';
import type { CommandCall, RunCommand } from '../call.ts';
import { planConfiguration } from '../configuration-plan.ts';
import { findingsExitCode } from '../findings.ts';
import { withInterruption } from '../interruption.ts';
import { printDocument } from '../list-output.ts';
import { listShape, outputFormat, readOptions } from '../options.ts';
import { readPipelineCall } from '../pipeline-call.ts';
import { planDocument, printPlan } from '../view/plan-view.ts';

/** Of the options, those that a configuration file does not say itself. */
const OF_OUTPUT = new Set(['output', 'json', 'detailedExitcode']);

function planExitCode(plan: PipelinePlan, detailed: boolean): ExitCode {
  const code = findingsExitCode(plan.findings);
  return code === 0 && detailed && plan.changes.length > 0 ? 2 : code;
}

/** A lone argument is a configuration file, unless it can only be a system. */
function fileOf({ args, options }: CommandCall): string | null {
  const [first = '', destination] = args;
  if (destination !== undefined) return null;
  if (/^(?:env:|@|[a-z]+:\/\/|duckdb:|sqlite:)/.test(first)) {
    throw new ForebayError('usage', {
      message: 'a destination is missing',
      fix: 'Give two systems, or a configuration file alone.',
    });
  }
  const other = Object.keys(options).find((name) => !OF_OUTPUT.has(name));
  if (other === undefined) return first;
  throw new ForebayError('usage', {
    message: 'a configuration file says itself what its streams are',
    fix: 'Leave out the options of a pipeline, or give two systems.',
  });
}

export const run: RunCommand = async (call) => {
  const shape = { ...listShape, detailedExitcode: z.boolean().default(false) };
  const { detailedExitcode, ...output } = readOptions(shape, call.options);
  const format = outputFormat(output);
  const file = fileOf(call);
  if (file !== null)
    return planConfiguration(file, { format, detailed: detailedExitcode }, call.terminal);
  const { spec, systems, source } = await readPipelineCall(call, null);
  const mode = source.entry.source.includes('changes')
    ? ({ kind: 'replicate', untilCaughtUp: false } as const)
    : ({ kind: 'copy' } as const);
  const plan = await withInterruption((signal) => planPipeline(mode, spec, systems, signal));
  if (format === 'table') printPlan(plan, call.terminal);
  else printDocument(planDocument(plan), format, call.terminal);
  return planExitCode(plan, detailedExitcode);
};
