/** What a row of the error table is. */
export type ErrorClass =
  | 'transient'
  | 'rate-limited'
  | 'timeout'
  | 'config'
  | 'auth'
  | 'schema'
  | 'data'
  | 'position-lost'
  | 'bug';

export type ExitCode = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 75 | 130;

export interface ErrorEntry {
  readonly class: ErrorClass;
  readonly exit: ExitCode;
  readonly http: number;
  /** What the code means, for `docs/errors.md`. */
  readonly meaning: string;
  /** The way out when the place that throws knows no better one. */
  readonly fix: string;
}

export const entry = (
  errorClass: ErrorClass,
  exit: ExitCode,
  http: number,
  texts: readonly [meaning: string, fix: string],
): ErrorEntry => ({ class: errorClass, exit, http, meaning: texts[0], fix: texts[1] });
