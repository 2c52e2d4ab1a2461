/** From plain data, which is all that crosses into a worker, to a transform. */
import { ForebayError } from '../core/errors.ts';
import { compileCustom } from './custom/compile.ts';
import type { Problem } from './custom/problem.ts';
import type { DocumentTransform } from './document-transform.ts';
import type { ModuleSources } from './sandbox/module-files.ts';
import { openSandbox, type Sandbox } from './sandbox/sandbox.ts';

export type TransformSource =
  | { readonly kind: 'custom'; readonly specification: unknown }
  | {
      readonly kind: 'kazaam';
      readonly spec: unknown;
      readonly mode: 'compat' | 'strict';
      readonly dialect: 'kazaam' | 'extended';
    };

export interface TransformLimits {
  /** For one document; a document may take so long in each module. */
  readonly documentMs: number;
  /** What each module may hold, 16 MiB at least. */
  readonly memoryBytes: number;
  /** What the worker may hold for everything else. */
  readonly threadMemoryBytes: number;
}

export const DEFAULT_LIMITS: TransformLimits = {
  documentMs: 2000,
  memoryBytes: 64 * 1024 * 1024,
  threadMemoryBytes: 512 * 1024 * 1024,
};

export interface BuiltTransform {
  readonly transform: DocumentTransform;
  /** Once set, this transform must not be used again. */
  readonly isSpent: () => boolean;
  readonly moduleCount: number;
}

/** Throws `transform_specification` or `kazaam_spec`. What modules read from files is added to `sources`. */
export async function buildTransform(
  source: TransformSource,
  limits: TransformLimits,
  sources: ModuleSources,
): Promise<BuiltTransform> {
  if (source.kind === 'kazaam') {
    const { compileKazaam } = await import('./kazaam/compile.ts');
    return { transform: compileKazaam(source.spec, source), isSpent: () => false, moduleCount: 0 };
  }
  const paths: string[] = [];
  compile(source.specification, (path) => {
    paths.push(path);
    return () => ({ kind: 'filtered' });
  });
  const sandboxes: Sandbox[] = [];
  for (const path of paths) sandboxes.push(await openSandbox(path, limits, sources));
  // Modules are asked for in the same order again; two uses of one file share nothing.
  const unused = sandboxes.values();
  const transform = compile(source.specification, (path) => {
    const { value } = unused.next();
    if (value === undefined)
      throw new ForebayError('internal', { message: `${path} was not opened` });
    return value.transform;
  });
  return {
    transform,
    isSpent: () => sandboxes.some((sandbox) => sandbox.isSpent()),
    moduleCount: sandboxes.length,
  };
}

function compile(
  specification: unknown,
  module: (path: string) => DocumentTransform,
): DocumentTransform {
  const result = compileCustom(specification, { module });
  if (result.ok) return result.transform;
  throw new ForebayError('transform_specification', {
    message: 'The custom transformation cannot be built',
    why: result.problems.map(printProblem).join('; '),
  });
}

function printProblem({ path, message }: Problem): string {
  return path.length === 0 ? message : `${path.join('.')}: ${message}`;
}
