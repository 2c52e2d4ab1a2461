import { z } from 'zod';
import type { Inspection } from '../../service/configuration/inspect.ts';
import { inspectConfiguration } from '../../service/configuration/load.ts';
import { byPlace, type Problem, printProblem } from '../../service/configuration/problem.ts';
import { specificationProblems } from '../../transforms/check-specification.ts';
import type { RunCommand } from '../call.ts';
import { printDocument } from '../list-output.ts';
import { listShape, outputFormat, readOptions } from '../options.ts';
import { scrubSecrets } from '../scrub.ts';
import type { Terminal } from '../terminal.ts';

function counted(count: number, one: string): string {
  return `${count} ${one}${count === 1 ? '' : 's'}`;
}

function checked({ streams, transformations }: Inspection['counts']): string {
  return `${counted(streams, 'stream')} and ${counted(transformations, 'transformation')} checked`;
}

function printInspection(
  { file, counts }: Inspection,
  problems: readonly Problem[],
  missing: readonly Problem[],
  terminal: Terminal,
): void {
  for (const problem of problems) terminal.out(`${printProblem(problem)}\n`);
  if (problems.length > 0) {
    terminal.err(`${counted(problems.length, 'violation')}, ${checked(counts)}\n`);
    return;
  }
  terminal.out(`${file} is valid: ${checked(counts)}\n`);
  // A file is often checked where its secrets are not: said, but no violation.
  for (const problem of missing) {
    terminal.err(`${terminal.errStyle.yellow('note')} ${printProblem(problem)}\n`);
  }
}

/** The last defence: a password may stand where no rule expects one. */
function scrubbed(problems: readonly Problem[]): readonly Problem[] {
  return problems.map((problem) => ({
    ...problem,
    path: scrubSecrets(problem.path),
    message: scrubSecrets(problem.message),
    fix: scrubSecrets(problem.fix),
  }));
}

/** Connects to nothing. Exit 2 if a rule is broken. */
export const run: RunCommand = async ({ args, options, terminal }) => {
  const shape = { ...listShape, strict: z.boolean().default(false) };
  const { strict, ...output } = readOptions(shape, options);
  const inspection = inspectConfiguration(args[0] ?? '', {
    checkSpecification: specificationProblems,
  });
  const found = strict ? [...inspection.problems, ...inspection.missing] : inspection.problems;
  const problems = scrubbed(found.toSorted(byPlace));
  const missing = strict ? [] : scrubbed(inspection.missing);
  const format = outputFormat(output);
  if (format === 'table') printInspection(inspection, problems, missing, terminal);
  else {
    const { file, counts } = inspection;
    const valid = problems.length === 0;
    printDocument({ file, valid, ...counts, problems, missing }, format, terminal);
  }
  return problems.length === 0 ? 0 : 2;
};
