/** What a connection's system says of itself: a test step by step, and its catalog. */
import { type NamedSystem, openDestination, openSource } from '../../connectors/registry.ts';
import type { CatalogStream, ConnectorContext, Finding } from '../../core/connector.ts';
import { asForebayError, type ErrorCode, type ForebayError } from '../../core/errors.ts';
import { SlabPool } from '../../core/slab.ts';
import { streamId } from '../../core/stream-schema.ts';
import type { Catalog, ConnectionTest } from '../schemas/connections.ts';

type Step = ConnectionTest['steps'][number];

const MEMORY_BYTES = 64 * 1024 * 1024;
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

function contextOf(signal: AbortSignal): ConnectorContext {
  return {
    signal,
    slabs: new SlabPool(0),
    memoryBytes: MEMORY_BYTES,
    options: {},
    notice: () => {},
  };
}

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

async function lookAt(system: NamedSystem, signal: AbortSignal): Promise<Looked> {
  const context = contextOf(signal);
  const { entry } = system;
  const findings: Finding[] = [];
  const isSource = entry.source.length > 0;
  if (isSource && entry.destination.length > 0 && entry.schemes.includes('duckdb')) {
    await using destination = await openDestination(system, context);
    findings.push(...(await destination.check()));
  } else if (isSource) {
    await using source = await openSource(system, context);
    // What following changes would need is told, and keeps nobody from reading.
    const found = await source.check(null, source.changes === undefined ? 'snapshot' : 'changes');
    findings.push(
      ...found.map((finding) =>
        finding.severity === 'error' && finding.error?.code === 'source_settings'
          ? { ...finding, severity: 'warning' as const }
          : finding,
      ),
    );
  }
  return { findings, capabilities: [...entry.source, ...entry.destination] };
}

/** `guard` holds the system to where the server may go. */
export async function testSystem(
  system: NamedSystem,
  guard: (system: NamedSystem) => NamedSystem,
  signal: AbortSignal,
): Promise<ConnectionTest> {
  const { display } = system.address;
  const startedAt = performance.now();
  try {
    const { findings, capabilities } = await lookAt(guard(system), signal);
    const bad = findings.find(({ severity }) => severity === 'error');
    const durationMs = Math.round(performance.now() - startedAt);
    return {
      success: bad === undefined,
      message: bad === undefined ? `Connected to ${display}` : bad.message,
      metadata: { system: system.entry.title, address: display, capabilities: [...capabilities] },
      steps: [...stepsOf(null, durationMs), ...findings.map(findingStep)],
    };
  } catch (error) {
    signal.throwIfAborted();
    const failure = asForebayError(error);
    const durationMs = Math.round(performance.now() - startedAt);
    return {
      success: false,
      message: textOf(failure),
      metadata: { system: system.entry.title, address: display },
      steps: [...stepsOf(failure, durationMs)],
    };
  }
}

export async function discoverSource(
  system: NamedSystem,
  signal: AbortSignal,
): Promise<readonly CatalogStream[]> {
  await using source = await openSource(system, contextOf(signal));
  return await source.discover();
}

export async function readCatalog(system: NamedSystem, signal: AbortSignal): Promise<Catalog> {
  const streams = await discoverSource(system, signal);
  return {
    streams: streams.map(({ schema, readable, estimatedRows, estimatedBytes }) => ({
      stream: streamId(schema.stream),
      readable,
      estimated_rows: estimatedRows,
      estimated_bytes: estimatedBytes,
      key: schema.key.map((index) => schema.columns[index]?.name ?? ''),
      columns: schema.columns.map(({ name, nativeType, nullable }) => ({
        name,
        type: nativeType,
        nullable,
      })),
    })),
  };
}
