/** Where and what is wrong in a configuration file. Pure. */

export type Path = readonly (string | number)[];

/** Both begin at 1; a column is a UTF-16 unit, as editors count. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

export type Rule =
  | 'readable'
  | 'size'
  | 'encoding'
  | 'syntax'
  | 'duplicate-key'
  | 'aliases'
  | 'depth'
  | 'required'
  | 'unknown-key'
  | 'type'
  | 'one-of'
  | 'format'
  | 'range'
  | 'version'
  | 'unique-id'
  | 'unique-port'
  | 'known-id'
  | 'reference'
  | 'file'
  | 'connection-string'
  | 'database'
  | 'credentials'
  | 'single-table'
  | 'option-of-type'
  | 'not-identical'
  | 'no-circle'
  | 'error-code'
  | 'dead-letters'
  | 'specification';

/** A mistake by its path; where that stands in the file is found afterwards. */
export interface Violation {
  readonly path: Path;
  /** What to point at: the value, or the name before it. */
  readonly at?: 'key' | 'value';
  readonly rule: Rule;
  /** Names the thing; no secret, no value that a reference gave. */
  readonly message: string;
  /** What to do. */
  readonly fix: string;
}

export interface Problem extends Place {
  readonly file: string;
  /** `streams[0].source.database`; empty for the file as a whole. */
  readonly path: string;
  readonly rule: Rule;
  readonly message: string;
  readonly fix: string;
}

const WORD = /^[A-Za-z_][\w-]*$/;

export function printPath(path: Path): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    if (!WORD.test(part)) return `${text}[${JSON.stringify(part)}]`;
    return text === '' ? part : `${text}.${part}`;
  }, '');
}

/** `file:line:column path: message (rule) — fix` */
export function printProblem(problem: Problem): string {
  const { file, line, column, path, rule, message, fix } = problem;
  const where = path === '' ? '' : ` ${path}:`;
  return `${file}:${line}:${column}${where === '' ? ':' : where} ${message} (${rule}) — ${fix}`;
}

export function byPlace(left: Problem, right: Problem): number {
  return (
    left.line - right.line ||
    left.column - right.column ||
    (left.path < right.path ? -1 : Number(left.path > right.path))
  );
}

/** What somebody wrote, as far as it may stand in a message: never what could hold a password. */
export function shown(value: unknown): string {
  if (typeof value === 'string') {
    return /^[\w .-]{1,40}$/.test(value) ? JSON.stringify(value) : 'another text';
  }
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (Array.isArray(value)) return 'a list';
  return value === null || value === undefined ? 'nothing' : 'a mapping';
}
