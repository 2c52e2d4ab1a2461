/** What is wrong with a transformation's specification, found without running it. */
import { compileCustom } from './custom/compile.ts';
import type { Problem } from './custom/problem.ts';

/** Modules are not opened: they run in the worker alone. */
const UNOPENED = () => () => ({ kind: 'filtered' }) as const;

export function specificationProblems(
  type: 'kazaam' | 'custom',
  specification: Readonly<Record<string, unknown>>,
): readonly Problem[] {
  if (type === 'kazaam') return [];
  const result = compileCustom(specification, { module: UNOPENED });
  return result.ok ? [] : result.problems;
}
