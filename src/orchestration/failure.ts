/** A failure as it crosses from an activity to a flow, between processes and through the journal. */
import { z } from 'zod';
import { asForebayError, ERROR_TABLE, type ErrorCode, ForebayError } from '../core/errors.ts';
import type { Json } from './flow.ts';

const CODES = Object.keys(ERROR_TABLE) as [ErrorCode, ...ErrorCode[]];
/** Longer texts are cut: a history keeps failures for long. */
const MOST_CHARACTERS = 2000;

const text = z.string();

export const failureSchema = z.object({
  // A code of another release is a bug of this one's point of view, not a crash.
  code: z.enum(CODES).catch('internal'),
  class: text,
  message: text,
  fix: text,
  why: text.nullable().default(null),
  stream: text.nullable().default(null),
  systemCode: text.nullable().default(null),
  retryAfterMs: z.number().nullable().default(null),
  /** The last heartbeat of the activity that failed. */
  progress: z.custom<Json>().nullable().default(null),
});

export type FailureReport = z.infer<typeof failureSchema>;

/** What `ctx.run` fails with. */
export class ActivityFailure extends ForebayError {
  /** The last heartbeat, null where there was none. */
  readonly progress: Json | null;

  constructor(report: FailureReport) {
    super(report.code, detailsOf(report));
    this.name = 'ActivityFailure';
    this.progress = report.progress;
  }
}

function detailsOf(report: FailureReport): ConstructorParameters<typeof ForebayError>[1] {
  const { message, fix, why, stream, systemCode, retryAfterMs } = report;
  return {
    message,
    fix,
    ...(why === null ? {} : { why }),
    ...(stream === null ? {} : { stream }),
    ...(systemCode === null ? {} : { systemCode }),
    ...(retryAfterMs === null ? {} : { retryAfterMs }),
  };
}

const cut = (value: string): string =>
  value.length > MOST_CHARACTERS ? `${value.slice(0, MOST_CHARACTERS)}...` : value;

export function toFailure(error: unknown, progress: Json | null = null): FailureReport {
  const known = asForebayError(error);
  return {
    code: known.code,
    class: known.class,
    message: cut(known.message),
    fix: cut(known.fix),
    why: known.why === null ? null : cut(known.why),
    stream: known.stream,
    systemCode: known.systemCode,
    retryAfterMs: known.retryAfterMs,
    progress: known instanceof ActivityFailure ? known.progress : progress,
  };
}

/** `flow_cancelled` is told as what it is; all else as the failure of an activity. */
export function fromFailure(report: FailureReport): ForebayError {
  return report.code === 'flow_cancelled'
    ? new ForebayError(report.code, detailsOf(report))
    : new ActivityFailure(report);
}

export function cancelled(workflowId: string): ForebayError {
  return new ForebayError('flow_cancelled', { message: `workflow ${workflowId} was cancelled` });
}
