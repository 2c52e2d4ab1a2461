/** Makes the connections and pipelines of a server as files say. */
import { z } from 'zod';
import { type ExitCode, ForebayError } from '../../core/errors.ts';
import { byPlace, printProblem } from '../../service/configuration/problem.ts';
import type { ApiClient } from '../api-client.ts';
import { type PlanStep, planChanges } from '../apply/change-plan.ts';
import type { Live } from '../apply/desired.ts';
import { readFiles } from '../apply/documents.ts';
import { readLive } from '../apply/live-state.ts';
import { performPlan, resolveSecrets } from '../apply/perform.ts';
import { planSummary, stepDocument, stepLines } from '../apply/plan-lines.ts';
import { readDesired } from '../apply/read-desired.ts';
import type { RunCommand } from '../call.ts';
import { withServer } from '../client/connect.ts';
import { sayLeft } from '../client/delete-pipeline.ts';
import { confirmedShape, leaveShape } from '../client/options.ts';
import { confirm } from '../confirm.ts';
import { printDocument } from '../list-output.ts';
import { type OutputFormat, outputFormat, readOptions } from '../options.ts';
import { scrubSecrets } from '../scrub.ts';
import type { Terminal } from '../terminal.ts';

const shape = {
  ...confirmedShape,
  ...leaveShape,
  file: z.array(z.string()),
  plan: z.boolean().default(false),
  detailedExitcode: z.boolean().default(false),
  prune: z.boolean().default(false),
  secretsAgain: z.boolean().default(false),
};
type ApplyOptions = z.output<z.ZodObject<typeof shape>>;

/** A server refuses it, and would do so half way. */
function refuseOtherTypes(steps: readonly PlanStep[]): void {
  const other = steps.find(
    (step) =>
      step.action === 'update' && step.fields.some(({ field }) => field === 'connector_type'),
  );
  if (other === undefined) return;
  throw new ForebayError('request_unprocessable', {
    message: `the connection ${other.name} is of another type, which cannot be changed`,
    fix: 'Give the new connection another name.',
  });
}

function printPlan(steps: readonly PlanStep[], terminal: Terminal): void {
  for (const step of steps) {
    if (step.action === 'unchanged') continue;
    terminal.out(`${stepLines(step, terminal.outStyle).join('\n')}\n`);
  }
  terminal.err(`${planSummary(steps)}\n`);
}

interface Outcome {
  readonly steps: readonly PlanStep[];
  readonly done: number;
}

function printOutcome({ steps, done }: Outcome, format: OutputFormat, terminal: Terminal): void {
  if (format !== 'table')
    printDocument({ changes: steps.map(stepDocument), done }, format, terminal);
}

function question(steps: readonly PlanStep[]): string {
  return `Make the server so? ${planSummary(steps)}`;
}

async function perform(
  api: ApiClient,
  plan: { readonly steps: readonly PlanStep[]; readonly live: Live; readonly leave: boolean },
  terminal: Terminal,
): Promise<number> {
  let done = 0;
  const secrets = resolveSecrets(plan.steps);
  try {
    await performPlan(
      api,
      { ...plan, secrets },
      {
        done: (step) => {
          done += 1;
          terminal.err(`${stepLines(step, terminal.errStyle)[0] ?? ''}: done\n`);
        },
        left: (pipeline, left) => sayLeft(pipeline, left, terminal),
      },
    );
    return done;
  } catch (error) {
    terminal.err(`${done} changes were made before the failure; the others were not.\n`);
    throw error;
  }
}

async function apply(api: ApiClient, given: ApplyOptions, terminal: Terminal): Promise<ExitCode> {
  const format = outputFormat(given);
  const files = readFiles(given.file);
  const live = await readLive(api);
  const { desired, problems } = readDesired(files, live, given.prune);
  if (problems.length > 0) {
    for (const problem of problems.toSorted(byPlace)) {
      terminal.err(scrubSecrets(`${printProblem(problem)}\n`));
    }
    return 2;
  }
  const { prune, secretsAgain } = given;
  const steps = planChanges(desired, live, { prune, secretsAgain });
  refuseOtherTypes(steps);
  const changes = steps.filter(({ action }) => action !== 'unchanged');
  if (format === 'table') printPlan(steps, terminal);
  if (given.plan || changes.length === 0) {
    printOutcome({ steps, done: 0 }, format, terminal);
    return given.plan && given.detailedExitcode && changes.length > 0 ? 2 : 0;
  }
  if (!(await confirm(question(steps), given.yes, terminal))) {
    throw new ForebayError('interrupted', { message: 'Nothing was changed' });
  }
  const done = await perform(api, { steps, live, leave: given.leave }, terminal);
  printOutcome({ steps, done }, format, terminal);
  return 0;
}

export const run: RunCommand = ({ options, terminal }) => {
  const given = readOptions(shape, options);
  if (given.detailedExitcode && !given.plan) {
    throw new ForebayError('usage', {
      message: '--detailed-exitcode is of --plan',
      fix: 'Add --plan, or leave it out.',
    });
  }
  return withServer(given, (api) => apply(api, given, terminal));
};
