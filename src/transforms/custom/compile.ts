import type { z } from 'zod';
import type { DocumentTransform, Outcome } from '../document-transform.ts';
import type { Scope } from '../expression/compiled.ts';
import { TransformFailure, within } from '../expression/failure.ts';
import { Moment } from '../expression/moment.ts';
import { parseJson } from '../json/parse.ts';
import type { JsonObject } from '../json/value.ts';
import { writeJson } from '../json/write.ts';
import { changeAt } from './column-path.ts';
import { compileMapping, type Edit } from './mapping.ts';
import { compileMask } from './masked.ts';
import { type Problem, Report } from './problem.ts';
import { CustomSpecification, type StepSpecification } from './specification.ts';

export interface CustomOptions {
  /** The transform of a user's module, which runs elsewhere. */
  readonly module: (path: string) => DocumentTransform;
  readonly nowMs?: () => number;
}

export type CustomResult =
  | { readonly ok: true; readonly transform: DocumentTransform }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Reads a specification from the configuration; tells everything that is wrong with it at once. */
export function compileCustom(specification: unknown, options: CustomOptions): CustomResult {
  const parsed = CustomSpecification.safeParse(specification);
  if (!parsed.success) return { ok: false, problems: parsed.error.issues.map(problemOf) };
  const problems: Problem[] = [];
  const report = new Report(problems);
  const { steps } = parsed.data;
  const stages =
    steps === undefined
      ? compileStep(parsed.data, report, options)
      : steps.flatMap((step, index) => compileStep(step, report.at('steps', index), options));
  if (problems.length > 0) return { ok: false, problems };
  return { ok: true, transform: (json) => pass(json, stages, options.nowMs ?? Date.now) };
}

type Stage =
  | { readonly kind: 'filter'; readonly keeps: (scope: Scope) => boolean }
  | { readonly kind: 'edit'; readonly edit: Edit }
  | { readonly kind: 'module'; readonly transform: DocumentTransform };

function compileStep(
  { filter, mapping, mask, module }: StepSpecification,
  report: Report,
  options: CustomOptions,
): readonly Stage[] {
  const stages: Stage[] = [];
  if (filter !== undefined) {
    const { run } = report.at('filter').expression(filter, 'boolean');
    stages.push({ kind: 'filter', keeps: (scope) => keeps(run(scope)) });
  }
  const edits = mapping === undefined ? [] : compileMapping(mapping, report.at('mapping'));
  stages.push(...edits.map((edit): Stage => ({ kind: 'edit', edit })));
  for (const [column, specification] of Object.entries(mask ?? {})) {
    const path = report.at('mask', column).path(column);
    const change = compileMask(specification, column);
    stages.push({ kind: 'edit', edit: (root) => changeAt(root, path, change, true) });
  }
  if (module !== undefined) stages.push({ kind: 'module', transform: options.module(module) });
  return stages;
}

/** Only what is certainly true is kept. */
function keeps(value: unknown): boolean {
  if (value === null || typeof value === 'boolean') return value === true;
  throw new TransformFailure('transform_expression', 'the expression is no boolean');
}

function pass(json: string, stages: readonly Stage[], nowMs: () => number): Outcome {
  const now = new Moment('timestamp', BigInt(nowMs()) * 1000n, true);
  let text = json;
  let root: JsonObject | null = null;
  let edited = false;
  try {
    for (const stage of stages) {
      if (stage.kind === 'module') {
        const outcome: Outcome = stage.transform(edited && root !== null ? writeJson(root) : text);
        if (outcome.kind !== 'document') return outcome;
        text = outcome.json;
        root = null;
        edited = false;
        continue;
      }
      root ??= readObject(text);
      const scope = { root, now: () => now };
      if (stage.kind === 'edit') {
        stage.edit(root, scope);
        edited = true;
      } else if (!within('filter', () => stage.keeps(scope))) return { kind: 'filtered' };
    }
  } catch (error) {
    if (error instanceof TransformFailure) {
      return { kind: 'failed', code: error.code, message: error.message };
    }
    throw error;
  }
  return { kind: 'document', json: edited && root !== null ? writeJson(root) : text };
}

function readObject(text: string): JsonObject {
  const result = parseJson(text);
  if (!result.ok) {
    throw new TransformFailure(
      'transform_json',
      `at character ${result.position + 1}: ${result.message}`,
    );
  }
  if (result.value instanceof Map) return result.value;
  throw new TransformFailure('transform_json', 'the document is no object');
}

function problemOf(issue: z.core.$ZodIssue): Problem {
  const path = issue.path.map((step) => (typeof step === 'number' ? step : String(step)));
  if (issue.code === 'unrecognized_keys') {
    return { path, message: `no such key: ${issue.keys.join(', ')}` };
  }
  return { path, message: issue.message };
}
