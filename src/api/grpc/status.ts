/** What a refusal of the application is to a caller of gRPC. */
import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { ERROR_TABLE, type ErrorCode } from '../../core/errors.ts';
import { type Problem, problemSchema } from '../problem.ts';

const BY_HTTP: Readonly<Record<number, status>> = {
  400: status.INVALID_ARGUMENT,
  401: status.UNAUTHENTICATED,
  403: status.PERMISSION_DENIED,
  404: status.NOT_FOUND,
  405: status.UNIMPLEMENTED,
  408: status.DEADLINE_EXCEEDED,
  409: status.FAILED_PRECONDITION,
  412: status.FAILED_PRECONDITION,
  413: status.RESOURCE_EXHAUSTED,
  424: status.FAILED_PRECONDITION,
  428: status.FAILED_PRECONDITION,
  429: status.RESOURCE_EXHAUSTED,
  499: status.CANCELLED,
  502: status.UNAVAILABLE,
  503: status.UNAVAILABLE,
  504: status.UNAVAILABLE,
};

function isKnown(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_TABLE, code);
}

export function statusOf(http: number, code: string): status {
  if (code === 'already_exists') return status.ALREADY_EXISTS;
  // Somebody else was in the way, and is gone when it is tried again.
  if (http === 409 && isKnown(code) && ERROR_TABLE[code].class === 'transient') {
    return status.ABORTED;
  }
  return BY_HTTP[http] ?? (http >= 500 ? status.INTERNAL : status.INVALID_ARGUMENT);
}

/** Clients take 8 KiB of metadata, all in all, by default. */
const PROBLEM_BYTES = 4096;
const DETAIL_CHARACTERS = 512;

const sizeOf = (problem: Problem): number => Buffer.byteLength(JSON.stringify(problem));

/** With as many of its fields as there is room for. */
function fitting(problem: Problem): Problem {
  let fits: Problem = { ...problem, detail: problem.detail.slice(0, DETAIL_CHARACTERS) };
  while (fits.errors.length > 0 && sizeOf(fits) > PROBLEM_BYTES) {
    fits = { ...fits, errors: fits.errors.slice(0, -1) };
  }
  return fits;
}

export class GrpcRefusal extends Error implements ServiceError {
  readonly code: status;
  readonly details: string;
  readonly metadata: Metadata;

  constructor(problem: Problem, retryAfter: string | undefined) {
    const told = fitting(problem);
    const details = (told.detail === '' ? told.title : told.detail).toWellFormed();
    super(details);
    this.name = 'GrpcRefusal';
    this.code = statusOf(problem.status, problem.code);
    this.details = details;
    this.metadata = new Metadata();
    this.metadata.set('forebay-code', problem.code);
    this.metadata.set('forebay-problem-bin', Buffer.from(JSON.stringify(told)));
    if (retryAfter !== undefined) this.metadata.set('retry-after', retryAfter);
  }
}

/** Fails where the application answered what is no problem; that is a bug of it. */
export function refusalOf(text: string, retryAfter: string | undefined): GrpcRefusal {
  return new GrpcRefusal(problemSchema.parse(JSON.parse(text)), retryAfter);
}
