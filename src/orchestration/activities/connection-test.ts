/** A test of a connection, step by step, as the API shows it. */
import { type NamedSystem, openDestination, openSource } from '../../connectors/registry.ts';
import type { Finding } from '../../core/connector.ts';
import { asForebayError, type ErrorCode, type ForebayError } from '../../core/errors.ts';
import { lookContext } from './connect.ts';

interface Step {
  readonly step: string;
  readonly status: Finding['severity'] | 'skipped';
  readonly message: string;
  readonly fix: string | null;
  readonly duration_ms: number | null;
}

/** As `connections.last_test_result` holds it. */
export interface SystemTest {
  readonly success: boolean;
  readonly message: string;
  readonly metadata: Record<string, unknown>;
  readonly steps: Step[];
}

export interface TestRequest {
  /** Holds the system to where the server may go. */
  readonly guard: (system: NamedSystem) => NamedSystem;
  /** What a source must be able to do for it. */
  readonly purpose: 'snapshot' | 'changes';
  readonly signal: AbortSignal;
}

const STEPS = ['dns', 'tcp', 'tls', 'auth', 'database'] as const;

/** At which step a connection fails. */
const STEP_OF: Readonly<Partial<Record<ErrorCode, (typeof STEPS)[number]>>> = {
  unreachable: 'tcp',
  connection_lost: 'tcp',
  server_starting: 'tcp',
  timeout: 'tcp',
  egress_refused: 'tcp',
  tls_refused: 'tls',
  certificate_unreadable: 'tls',
  certificate_expired: 'tls',
  certificate_refused: 'tls',
  key_mismatch: 'tls',
  key_passphrase: 'tls',
  plain_connection: 'tls',
  authentication_failed: 'auth',
  token_refused: 'auth',
  token_expired: 'auth',
  token_unavailable: 'auth',
  database_missing: 'database',
  database_damaged: 'database',
  privilege_missing: 'database',
  file_locked: 'database',
};
const NOT_RESOLVED = /ENOTFOUND|EAI_AGAIN|getaddrinfo/;

function textOf(failure: ForebayError): string {
  return failure.why === null ? failure.message : `${failure.message}: ${failure.why}`;
}

function failedStep(failure: ForebayError): (typeof STEPS)[number] {
  const text = textOf(failure);
  if (failure.code === 'unreachable' && NOT_RESOLVED.test(text)) return 'dns';
  return STEP_OF[failure.code] ?? 'database';
}

/** Steps before the one that failed went well, or it would not have come to it. */
function stepsOf(failure: ForebayError | null, durationMs: number): readonly Step[] {
  const failed = failure === null ? null : failedStep(failure);
  const at = failed === null ? STEPS.length : STEPS.indexOf(failed);
  return STEPS.map((step, index): Step => {
    if (failure !== null && index === at) {
      const { fix } = failure;
      return { step, status: 'error', message: textOf(failure), fix, duration_ms: durationMs };
    }
    const done = index < at;
    return {
      step,
      status: done ? 'ok' : 'skipped',
      message: done ? 'in order' : 'not come to',
      fix: null,
      duration_ms: null,
    };
  });
}

function findingStep({ step, severity, message, fix, stream }: Finding): Step {
  const of = stream === null ? '' : `${stream}: `;
  return { step, status: severity, message: `${of}${message}`, fix, duration_ms: null };
}

interface Looked {
  readonly findings: readonly Finding[];
  readonly capabilities: readonly string[];
}

async function lookAt(
  system: NamedSystem,
  { purpose, signal }: Pick<TestRequest, 'purpose' | 'signal'>,
): Promise<Looked> {
  const context = lookContext(signal);
  const { entry } = system;
  const findings: Finding[] = [];
  const isSource = entry.source.length > 0;
  if (isSource && entry.destination.length > 0 && entry.schemes.includes('duckdb')) {
    await using destination = await openDestination(system, context);
    findings.push(...(await destination.check()));
  } else if (isSource) {
    await using source = await openSource(system, context);
    // What following changes would need is told, and keeps nobody from reading.
    const found = await source.check(null, source.changes === undefined ? 'snapshot' : purpose);
    findings.push(
      ...found.map((finding) =>
        finding.severity === 'error' && finding.error?.code === 'source_settings'
          ? { ...finding, severity: 'warning' as const }
          : finding,
      ),
    );
  } else {
    await using _destination = await openDestination(system, context);
  }
  return { findings, capabilities: [...entry.source, ...entry.destination] };
}

/** A refusal of the system is a result. `failure`: what was thrown on the way, for whoever would try again. */
export async function testSystem(
  system: NamedSystem,
  request: TestRequest,
): Promise<{ readonly test: SystemTest; readonly failure: ForebayError | null }> {
  const { display } = system.address;
  const metadata = { system: system.entry.title, address: display };
  const startedAt = performance.now();
  try {
    const { findings, capabilities } = await lookAt(request.guard(system), request);
    const bad = findings.find(({ severity }) => severity === 'error');
    const durationMs = Math.round(performance.now() - startedAt);
    const test = {
      success: bad === undefined,
      message: bad === undefined ? `Connected to ${display}` : bad.message,
      metadata: { ...metadata, capabilities: [...capabilities] },
      steps: [...stepsOf(null, durationMs), ...findings.map(findingStep)],
    };
    return { test, failure: null };
  } catch (error) {
    request.signal.throwIfAborted();
    const failure = asForebayError(error);
    const durationMs = Math.round(performance.now() - startedAt);
    const steps = [...stepsOf(failure, durationMs)];
    return { test: { success: false, message: textOf(failure), metadata, steps }, failure };
  }
}
