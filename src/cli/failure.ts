import { asForebayError, type ErrorReport, ForebayError, reportError } from '../core/errors.ts';
import { scrubSecrets } from './scrub.ts';
import type { Terminal } from './terminal.ts';

/** All mistakes of one command line, shown one by one. */
export class SeveralErrors extends ForebayError {
  readonly errors: readonly ForebayError[];

  constructor(errors: readonly ForebayError[]) {
    super('usage', { message: errors.map(({ message }) => message).join('; ') });
    this.errors = errors;
  }
}

/** Throws what was found, if anything: the error itself when it is the only one. */
export function throwAll(errors: readonly ForebayError[]): void {
  if (errors.length > 1) throw new SeveralErrors(errors);
  if (errors[0] !== undefined) throw errors[0];
}

interface Shown {
  readonly code: string;
  readonly message: string;
  readonly why: string | null;
  readonly fix: string;
  readonly stream: string | null;
}

function printOne(shown: Shown, terminal: Terminal): void {
  const { red, dim, bold } = terminal.errStyle;
  const where = shown.stream === null ? '' : ` (${shown.stream})`;
  const lines = [`${red('error')} ${bold(shown.code)}${where}: ${scrubSecrets(shown.message)}`];
  if (shown.why !== null) lines.push(`  ${dim('why')}    ${scrubSecrets(shown.why)}`);
  if (shown.fix !== '') lines.push(`  ${dim('to do')}  ${scrubSecrets(shown.fix)}`);
  terminal.err(`${lines.join('\n')}\n`);
}

/** Code, what happened, why, what to do; the stack trace only with FOREBAY_DEBUG=1. */
export function printError(error: unknown, terminal: Terminal): void {
  const known = asForebayError(error);
  const all = known instanceof SeveralErrors ? known.errors : [known];
  for (const one of all) printOne(one, terminal);
  if (process.env['FOREBAY_DEBUG'] !== '1') return;
  const cause = known.cause instanceof Error ? `\ncaused by ${known.cause.stack ?? ''}` : '';
  terminal.err(`${scrubSecrets(`${known.stack ?? ''}${cause}`)}\n`);
}

/** The same for an error that came as a value of a result. */
export function printReport(report: ErrorReport, terminal: Terminal): void {
  printOne({ ...report, why: null }, terminal);
}

export function scrubReport(report: ErrorReport): ErrorReport {
  return { ...report, message: scrubSecrets(report.message), fix: scrubSecrets(report.fix) };
}

export function safeReport(error: ForebayError): ErrorReport {
  return scrubReport(reportError(error));
}
