/** What is wrong with a transformation's specification, found without running it. */
import { asForebayError } from '../core/errors.ts';
import { compileCustom } from './custom/compile.ts';
import type { Problem } from './custom/problem.ts';
import { compileKazaam, type KazaamOptions } from './kazaam/compile.ts';

type Specification = Readonly<Record<string, unknown>>;

/** Modules are not opened: they run in the worker alone. */
const UNOPENED = () => () => ({ kind: 'filtered' }) as const;

/** Mode and dialect as far as they are right: what is wrong with them is told elsewhere. */
function kazaamOptions({ mode, dialect }: Specification): KazaamOptions {
  return {
    mode: mode === 'strict' ? 'strict' : 'compat',
    dialect: dialect === 'extended' ? 'extended' : 'kazaam',
  };
}

function kazaamProblems(specification: Specification): readonly Problem[] {
  try {
    compileKazaam(specification['spec'], kazaamOptions(specification));
    return [];
  } catch (error) {
    const { code, message, why } = asForebayError(error);
    if (code !== 'kazaam_spec') throw error;
    return [{ path: ['spec'], message: why === null ? message : `${message}: ${why}` }];
  }
}

export function specificationProblems(
  type: 'kazaam' | 'custom',
  specification: Specification,
): readonly Problem[] {
  if (type === 'kazaam')
    return Array.isArray(specification['spec']) ? kazaamProblems(specification) : [];
  const result = compileCustom(specification, { module: UNOPENED });
  return result.ok ? [] : result.problems;
}
