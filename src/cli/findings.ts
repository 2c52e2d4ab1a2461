import type { Finding } from '../core/connector.ts';
import type { ErrorReport, ExitCode, ForebayError } from '../core/errors.ts';
import { safeReport } from './failure.ts';
import { scrubSecrets } from './scrub.ts';
import type { Style, Terminal } from './terminal.ts';

/** A finding as documents carry it. */
export interface FindingDocument {
  readonly step: string;
  readonly severity: Finding['severity'];
  readonly message: string;
  readonly fix: string | null;
  readonly stream: string | null;
  readonly error: ErrorReport | null;
}

export function findingDocument(finding: Finding): FindingDocument {
  const { step, severity, message, fix, stream, error } = finding;
  return {
    step,
    severity,
    message: scrubSecrets(message),
    fix: fix === null ? null : scrubSecrets(fix),
    stream,
    error: error === null ? null : safeReport(error),
  };
}

/** A system that cannot be opened is a finding too: the first one. */
export function failureFinding(step: string, error: ForebayError): Finding {
  const message = error.why === null ? error.message : `${error.message}: ${error.why}`;
  return { step, severity: 'error', message, fix: error.fix, stream: error.stream, error };
}

function mark(severity: Finding['severity'], style: Style): string {
  switch (severity) {
    case 'ok':
      return style.green('ok     ');
    case 'info':
      return style.cyan('info   ');
    case 'warning':
      return style.yellow('warning');
    case 'error':
      return style.red('error  ');
  }
}

export function printFindings(findings: readonly Finding[], terminal: Terminal): void {
  const style = terminal.outStyle;
  const width = Math.max(0, ...findings.map(({ step }) => step.length));
  for (const finding of findings.map(findingDocument)) {
    const { severity, step, stream, message, fix } = finding;
    const subject = stream === null || message.startsWith(`${stream} `) ? '' : `${stream}: `;
    terminal.out(`${mark(severity, style)}  ${step.padEnd(width)}  ${subject}${message}\n`);
    if (fix === null || severity === 'ok') continue;
    const indent = ' '.repeat(width + 11);
    const [first = '', ...more] = fix.split('\n');
    terminal.out(`${indent}${style.dim('to do')}  ${first}\n`);
    for (const line of more) terminal.out(`${indent}       ${line}\n`);
  }
}

/** That of the first error; 0 if there is none. */
export function findingsExitCode(findings: readonly Finding[]): ExitCode {
  const first = findings.find(({ severity }) => severity === 'error');
  if (first === undefined) return 0;
  return first.error?.exitCode ?? 3;
}
