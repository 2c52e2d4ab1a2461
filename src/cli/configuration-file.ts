import type { LoadedConfiguration } from '../service/configuration/inspect.ts';
import { loadConfiguration } from '../service/configuration/load.ts';
import { printProblem } from '../service/configuration/problem.ts';
import { specificationProblems } from '../transforms/check-specification.ts';
import { scrubSecrets } from './scrub.ts';
import type { Terminal } from './terminal.ts';

/** Null after every violation was told; the command then ends with 2. */
export function readConfiguration(file: string, terminal: Terminal): LoadedConfiguration | null {
  const result = loadConfiguration(file, { checkSpecification: specificationProblems });
  if (result.kind === 'loaded') return result.loaded;
  for (const problem of result.problems) terminal.err(scrubSecrets(`${printProblem(problem)}\n`));
  return null;
}
