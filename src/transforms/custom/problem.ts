import type { Compiled } from '../expression/compiled.ts';
import { compileExpression } from '../expression/compile.ts';
import type { StaticType } from '../expression/value.ts';
import { type ColumnPath, parseColumnPath } from './column-path.ts';

export interface Problem {
  /** Keys and indexes inside the specification. */
  readonly path: readonly (string | number)[];
  readonly message: string;
}

const NOWHERE: ColumnPath = [];

/** Notes what is wrong at a place of the specification and reads on, so that all is told at once. */
export class Report {
  readonly #path: readonly (string | number)[];
  readonly #problems: Problem[];

  constructor(problems: Problem[], path: readonly (string | number)[] = []) {
    this.#problems = problems;
    this.#path = path;
  }

  at(...steps: readonly (string | number)[]): Report {
    return new Report(this.#problems, [...this.#path, ...steps]);
  }

  problem(message: string): void {
    this.#problems.push({ path: this.#path, message });
  }

  path(text: string): ColumnPath {
    const path = parseColumnPath(text);
    if (path !== null) return path;
    this.problem(`${text} is no path; write a.b, a["b c"], a[0] or a[*]`);
    return NOWHERE;
  }

  /** For where one place is needed. */
  placePath(text: string): ColumnPath {
    const path = this.path(text);
    if (path.some(({ kind }) => kind === 'each')) this.problem('[*] is no single place');
    return path;
  }

  /** For where a place is named by keys alone. */
  plainPath(text: string): ColumnPath {
    const path = this.path(text);
    if (path.some(({ kind }) => kind !== 'key')) this.problem(`${text} must not go into arrays`);
    return path;
  }

  expression(source: string, wanted: StaticType = 'any'): Compiled {
    const result = compileExpression(source, wanted);
    if (result.ok) return result.compiled;
    for (const { at, message } of result.problems)
      this.problem(`at character ${at + 1}: ${message}`);
    return { type: 'any', run: () => null };
  }
}
