/** A custom transformation as plain data, with the paths of its modules found. */
import { resolve } from 'node:path';
import type { TransformSource } from './build-transform.ts';

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What is no part of a specification stays as it is: whoever compiles it tells. */
function withPath(part: unknown, folder: string): unknown {
  if (!isMapping(part) || typeof part['module'] !== 'string') return part;
  return { ...part, module: resolve(folder, part['module']) };
}

/** Modules are found from `folder`; steps hold them too. */
export function customSource(
  specification: unknown,
  folder: string,
): Extract<TransformSource, { kind: 'custom' }> {
  const own = withPath(specification, folder);
  const steps = isMapping(own) ? own['steps'] : null;
  if (!isMapping(own) || !Array.isArray(steps)) return { kind: 'custom', specification: own };
  const found = steps.map((step: unknown) => withPath(step, folder));
  return { kind: 'custom', specification: { ...own, steps: found } };
}
