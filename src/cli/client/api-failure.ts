/** What keeps a request from being done, as an error of the table. */
import type { z } from 'zod';
import { problemSchema } from '../../api/problem.ts';
import { ERROR_TABLE, type ErrorCode, ForebayError } from '../../core/errors.ts';

const NOT_REACHED = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EADDRNOTAVAIL',
  'ETIMEDOUT',
  'UND_ERR_CONNECT_TIMEOUT',
]);
const TLS = /^(?:CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|ERR_TLS|ERR_SSL|EPROTO|HOSTNAME_MISMATCH)/;

/** Of the failure itself or what caused it; several addresses of one name fail as a group. */
function systemCodeOf(error: unknown): string {
  if (!(error instanceof Error)) return '';
  if ('code' in error && typeof error.code === 'string') return error.code;
  if (error instanceof AggregateError) return systemCodeOf(error.errors[0]);
  return systemCodeOf(error.cause);
}

/** What has no code of the system says it in words: a port that fetch refuses, for instance. */
function reasonOf(error: unknown): string {
  return error instanceof Error && error.cause instanceof Error ? error.cause.message : '';
}

export function transportError(server: string, error: unknown): ForebayError {
  if (error instanceof Error && error.name === 'TimeoutError') {
    const message = `the server ${server} did not answer in time`;
    return new ForebayError('timeout', { message, cause: error });
  }
  const code = systemCodeOf(error);
  const why = code === '' ? reasonOf(error) : code;
  const system = code === '' ? {} : { systemCode: code };
  const more = { ...(why === '' ? {} : { why }), ...system, cause: error };
  if (NOT_REACHED.has(code)) {
    return new ForebayError('unreachable', {
      message: `no Forebay server answers at ${server}`,
      fix: 'Start one with `forebay server`, or name another with --server or FOREBAY_SERVER.',
      ...more,
    });
  }
  if (TLS.test(code)) {
    return new ForebayError('tls_refused', {
      message: `no encrypted connection to ${server} could be made`,
      fix: 'Check the certificate of the server; NODE_EXTRA_CA_CERTS=file adds a CA of your own.',
      ...more,
    });
  }
  return new ForebayError('connection_lost', {
    message: `the connection to the server ${server} broke`,
    fix: 'Look what was done, then run the command again.',
    ...more,
  });
}

export function unreadable(server: string, what: string, why?: string): ForebayError {
  return new ForebayError('answer_unreadable', {
    message: `${server} ${what}`,
    ...(why === undefined ? {} : { why }),
  });
}

/** A code that a newer server has and this release does not is taken for what its status says. */
const OF_STATUS: Readonly<Record<number, ErrorCode>> = {
  400: 'request_invalid',
  401: 'unauthenticated',
  403: 'forbidden',
  404: 'not_found',
  409: 'in_use',
  412: 'version_stale',
  422: 'request_unprocessable',
  429: 'too_many_requests',
  502: 'connection_lost',
  503: 'connection_lost',
  504: 'timeout',
};

const isCode = (code: string): code is ErrorCode => Object.hasOwn(ERROR_TABLE, code);

/** Proxies answer with pages of their own: the part that matters is what a problem document must have. */
const readProblem = problemSchema.partial({ type: true, title: true, instance: true });

function detailed({ detail, errors }: z.output<typeof readProblem>): string {
  const fields = errors.map(({ pointer, message }) => `${pointer.slice(1)}: ${message}`);
  const rest = fields.filter((field) => !detail.includes(field));
  return rest.length === 0 ? detail : `${detail} (${rest.join('; ')})`;
}

interface Refusal {
  readonly status: number;
  readonly text: string;
  readonly retryAfterMs: number | null;
  /** Whether it was a login that was refused, to which the way out is no login. */
  readonly isLogin?: boolean;
}

export function problemError(
  server: string,
  { status, text, retryAfterMs, isLogin = false }: Refusal,
): ForebayError {
  const after = retryAfterMs === null ? {} : { retryAfterMs };
  const read = readProblem.safeParse(parseJson(text));
  const byStatus = OF_STATUS[status];
  if (!read.success) {
    if (byStatus === 'connection_lost' || byStatus === 'too_many_requests') {
      return new ForebayError(byStatus, { message: `${server} answered ${status}`, ...after });
    }
    return unreadable(server, `answered ${status} without saying why in the form of the API`);
  }
  const problem = read.data;
  const code = isCode(problem.code) ? problem.code : (byStatus ?? 'internal');
  const fix =
    code === 'unauthenticated' && !isLogin
      ? `Log in with \`forebay login ${server}\`, or set FOREBAY_TOKEN.`
      : `${problem.fix}${code === 'internal' ? ` (trace id ${problem.trace_id})` : ''}`;
  return new ForebayError(code, { message: detailed(problem), fix, ...after });
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
