/** What a request is answered with when it cannot be done: RFC 9457, with a code of the one table of errors. */
import { STATUS_CODES } from 'node:http';
import { z } from 'zod';
import { ERROR_TABLE, type ErrorCode, ForebayError } from '../core/errors.ts';

export const PROBLEM_TYPE = 'application/problem+json';

export const FIELD_PLACES = ['body', 'query', 'path', 'header'] as const;

export const problemSchema = z
  .object({
    type: z.string().meta({ description: 'Where the code is described.' }),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    instance: z.string(),
    code: z.string().meta({ description: 'Of the table of errors; programs decide by it.' }),
    fix: z.string().meta({ description: 'What to do about it.' }),
    retryable: z.boolean().meta({ description: 'Whether the same request may succeed later.' }),
    trace_id: z.string().meta({ description: 'By which the log of the server knows the request.' }),
    errors: z.array(
      z.object({
        in: z.enum(FIELD_PLACES),
        pointer: z.string().meta({ description: 'JSON Pointer into that part of the request.' }),
        code: z.string(),
        message: z.string(),
      }),
    ),
  })
  .meta({ id: 'Problem', description: 'RFC 9457 problem details.' });

export type Problem = z.output<typeof problemSchema>;
export type FieldProblem = Problem['errors'][number];
export type FieldPlace = FieldProblem['in'];

interface RequestErrorDetails {
  readonly message: string;
  readonly fields?: readonly FieldProblem[];
  readonly headers?: Readonly<Record<string, string>>;
  /** Where HTTP has a status that says more than that of the table. */
  readonly status?: number;
  readonly why?: string;
  readonly fix?: string;
  readonly cause?: unknown;
}

/** A failure that knows more of the answer than its code: fields, headers, a status of its own. */
export class RequestError extends ForebayError {
  readonly fields: readonly FieldProblem[];
  readonly headers: Readonly<Record<string, string>>;
  readonly status: number;

  constructor(code: ErrorCode, details: RequestErrorDetails) {
    const { fields, headers, status, ...rest } = details;
    super(code, rest);
    this.name = 'RequestError';
    this.fields = fields ?? [];
    this.headers = headers ?? {};
    this.status = status ?? ERROR_TABLE[code].http;
  }
}

/** One field that cannot be taken. */
export function fieldError(
  place: FieldPlace,
  pointer: string,
  message: string,
  code: ErrorCode = 'request_invalid',
): RequestError {
  return new RequestError(code, {
    message: `${pointer.slice(1)}: ${message}`,
    fields: [{ in: place, pointer, code, message }],
  });
}

export function notFound(what: string): RequestError {
  return new RequestError('not_found', { message: `There is no such ${what}` });
}

/**
 * A failure that another system told while it was asked in the caller's name. Its refusal of our credentials must
 * not look like a refusal of the caller's token.
 */
export function upstreamError(error: unknown): unknown {
  if (!(error instanceof ForebayError) || error instanceof RequestError) return error;
  const { http } = ERROR_TABLE[error.code];
  const status = http === 401 || http === 403 || http === 404 ? 422 : http;
  return new RequestError(error.code, {
    message: error.message,
    fix: error.fix,
    status,
    cause: error,
    ...(error.why === null ? {} : { why: error.why }),
  });
}

export interface ProblemAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly document: Problem;
}

const RETRYABLE = new Set(['transient', 'rate-limited', 'timeout']);
const SECONDS_TO_RETRY = '5';

/** What a bug says of itself is for the log, where the trace id leads. */
function detailOf(error: ForebayError, status: number): string {
  const { class: errorClass } = ERROR_TABLE[error.code];
  if (errorClass === 'bug') return 'The server failed; its log tells why under the trace id.';
  return error.why === null || status >= 500 ? error.message : `${error.message}: ${error.why}`;
}

export function problemOf(error: ForebayError, traceId: string, instance: string): ProblemAnswer {
  const known = ERROR_TABLE[error.code];
  const own = error instanceof RequestError ? error : null;
  const status = own?.status ?? known.http;
  const retryable = RETRYABLE.has(known.class);
  return {
    status,
    headers: {
      ...(status === 401 ? { 'www-authenticate': 'Bearer realm="forebay"' } : {}),
      ...(status === 503 ? { 'retry-after': SECONDS_TO_RETRY } : {}),
      ...own?.headers,
    },
    document: {
      type: `/docs#error-${error.code}`,
      title: STATUS_CODES[status] ?? 'Error',
      status,
      detail: detailOf(error, status),
      instance,
      code: error.code,
      fix: error.fix,
      retryable,
      trace_id: traceId,
      errors: own === null ? [] : [...own.fields],
    },
  };
}

/** What Fastify and Node refuse by themselves, as errors of the table. */
export function frameworkError(error: unknown): ForebayError {
  if (error instanceof ForebayError) return error;
  const failure = error instanceof Error ? error : new Error(String(error));
  const { statusCode, code } = failure as { statusCode?: unknown; code?: unknown };
  const status = typeof statusCode === 'number' ? statusCode : 500;
  if (status === 413) {
    return new RequestError('body_too_large', { message: 'The body is larger than 1 MiB' });
  }
  if (status === 415) {
    return new RequestError('media_type', { message: 'The Content-Type cannot be read' });
  }
  if (status >= 400 && status < 500) {
    const message = `The request cannot be read (${typeof code === 'string' ? code : status})`;
    return new RequestError('request_invalid', { message, status });
  }
  return new ForebayError('internal', { message: failure.message, cause: failure });
}
