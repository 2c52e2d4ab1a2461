import type { Finding } from '../../core/connector.ts';
import { asForebayError } from '../../core/errors.ts';
import type { DuckdbFile } from './connection.ts';

function finding(step: string, message: string): Finding {
  return { step, severity: 'ok', message, fix: null, stream: null, error: null };
}

/** A finding from what went wrong. */
export function failedFinding(step: string, error: unknown, stream: string | null = null): Finding {
  const known = asForebayError(error);
  const message = known.why === null ? known.message : `${known.message}: ${known.why}`;
  return { step, severity: 'error', message, fix: known.fix, stream, error: known };
}

/** Looks at the file, and opens it if it is there; never makes it. */
export async function checkFile(file: DuckdbFile, purpose: 'read' | 'write'): Promise<Finding[]> {
  const findings: Finding[] = [];
  try {
    await file.assertUsable(purpose);
    const exists = await file.exists();
    findings.push(finding('file', exists ? `${file.path} is there` : `${file.path} will be made`));
    if (!exists) return findings;
  } catch (error) {
    return [failedFinding('file', error)];
  }
  try {
    await file.client();
    findings.push(finding('open', 'the database opens'));
  } catch (error) {
    findings.push(failedFinding('open', error));
  }
  return findings;
}
