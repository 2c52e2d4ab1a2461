/** Failures that a user can see. Their codes stand in one table; nobody matches on message text. */
import { ERROR_TABLE, type ErrorClass, type ErrorCode, type ExitCode } from './error-table.ts';

export { ERROR_TABLE, type ErrorClass, type ErrorCode, type ExitCode } from './error-table.ts';

export interface ErrorDetails {
  /** What happened, naming the thing; no row values, no secrets. */
  readonly message: string;
  /** The cause in the words of the system, shown as "why". */
  readonly why?: string;
  /** Replaces the fix of the table where the place that throws knows a better one. */
  readonly fix?: string;
  readonly stream?: string;
  /** The system's own code (SQLSTATE, errno), for `permanent_error_codes` and logs. */
  readonly systemCode?: string;
  /** By its name, the constraint or column that refused. */
  readonly refusedBy?: string;
  /** Of a rate limit: how long until the system takes more. */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

export class ForebayError extends Error {
  readonly code: ErrorCode;
  readonly why: string | null;
  readonly fix: string;
  readonly stream: string | null;
  readonly systemCode: string | null;
  readonly refusedBy: string | null;
  readonly retryAfterMs: number | null;

  constructor(code: ErrorCode, details: ErrorDetails) {
    super(details.message, details.cause === undefined ? {} : { cause: details.cause });
    this.name = 'ForebayError';
    this.code = code;
    this.why = details.why ?? null;
    this.fix = details.fix ?? ERROR_TABLE[code].fix;
    this.stream = details.stream ?? null;
    this.systemCode = details.systemCode ?? null;
    this.refusedBy = details.refusedBy ?? null;
    this.retryAfterMs = details.retryAfterMs ?? null;
  }

  get class(): ErrorClass {
    return ERROR_TABLE[this.code].class;
  }

  get exitCode(): ExitCode {
    return ERROR_TABLE[this.code].exit;
  }
}

/** What went wrong first, where giving back what was held failed as well. */
function firstFailure(error: unknown): unknown {
  let first = error;
  while (first instanceof Error && first.name === 'SuppressedError' && 'suppressed' in first)
    first = first.suppressed;
  return first;
}

/** Wraps what is not ours, so that every failure that leaves a boundary has a code. */
export function asForebayError(given: unknown, fallback: ErrorCode = 'internal'): ForebayError {
  const error = firstFailure(given);
  if (error instanceof ForebayError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new ForebayError(fallback, { message, cause: error });
}

/** The error as it stands in results, events and documents; stable and versioned with them. */
export interface ErrorReport {
  readonly code: ErrorCode;
  readonly class: ErrorClass;
  readonly message: string;
  readonly fix: string;
  readonly stream: string | null;
}

export function reportError(error: ForebayError): ErrorReport {
  const message = error.why === null ? error.message : `${error.message}: ${error.why}`;
  return { code: error.code, class: error.class, message, fix: error.fix, stream: error.stream };
}
