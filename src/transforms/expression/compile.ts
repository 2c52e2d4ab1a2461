import { JsonNumber } from '../json/value.ts';
import { castResult, castValue } from './cast.ts';
import { compileCall } from './call.ts';
import { ExpressionSyntax } from './lexer.ts';
import type { Compiled } from './compiled.ts';
import { calculate, comparable, compareValues, truth } from './operators.ts';
import { parseExpression } from './parser.ts';
import type { Expression } from './syntax.ts';
import { commonType, type StaticType, textOf } from './value.ts';

export interface ExpressionProblem {
  readonly message: string;
  /** UTF-16 units from the start of the expression. */
  readonly at: number;
}

export type CompileResult =
  | { readonly ok: true; readonly compiled: Compiled }
  | { readonly ok: false; readonly problems: readonly ExpressionProblem[] };

/** `wanted`: the type the whole has to have, if any; what is certainly another is a problem. */
export function compileExpression(source: string, wanted: StaticType = 'any'): CompileResult {
  const problems: ExpressionProblem[] = [];
  const compiler = new Compiler(problems);
  try {
    const expression = parseExpression(source);
    const compiled = compiler.compile(expression);
    compiler.expect(compiled.type, wanted, { subject: 'the expression', at: 0 });
    return problems.length === 0 ? { ok: true, compiled } : { ok: false, problems };
  } catch (error) {
    if (!(error instanceof ExpressionSyntax)) throw error;
    return { ok: false, problems: [{ message: error.message, at: error.at }] };
  }
}

/** Turns an expression into closures and notes every mismatch of types that no document can mend. */
export class Compiler {
  readonly #problems: ExpressionProblem[];

  constructor(problems: ExpressionProblem[]) {
    this.#problems = problems;
  }

  problem(message: string, at: number): void {
    this.#problems.push({ message, at });
  }

  expect(type: StaticType, wanted: StaticType, place: { subject: string; at: number }): void {
    const fits =
      type === wanted ||
      wanted === 'any' ||
      type === 'any' ||
      type === 'null' ||
      (wanted === 'timestamp' && (type === 'date' || type === 'text'));
    if (!fits) this.problem(`${place.subject} takes a ${wanted}, and this is a ${type}`, place.at);
  }

  compile(expression: Expression): Compiled {
    switch (expression.kind) {
      case 'literal':
        return literal(expression.value);
      case 'column': {
        const { name } = expression;
        return { type: 'any', run: ({ root }) => root.get(name) ?? null };
      }
      case 'member':
        return this.#member(expression);
      case 'not':
        return this.#not(expression);
      case 'negate':
        return this.#arithmetic({
          kind: 'arithmetic',
          operator: '-',
          left: { kind: 'literal', value: new JsonNumber('0'), at: expression.at },
          right: expression.operand,
          at: expression.at,
        });
      case 'logical':
        return this.#logical(expression);
      case 'compare':
        return this.#compare(expression);
      case 'arithmetic':
        return this.#arithmetic(expression);
      case 'join':
        return this.#join(expression);
      case 'is-null': {
        const { run } = this.compile(expression.operand);
        return { type: 'boolean', run: (scope) => run(scope) === null };
      }
      case 'in':
        return this.#in(expression);
      case 'case':
        return this.#case(expression);
      case 'cast': {
        const { run } = this.compile(expression.operand);
        const { type } = expression;
        return { type: castResult(type.name), run: (scope) => castValue(run(scope), type, 'cast') };
      }
      case 'call':
        return compileCall(this, expression);
    }
  }

  #member({ of, key, at }: Expression & { readonly kind: 'member' }): Compiled {
    const { type, run } = this.compile(of);
    this.expect(type, 'json', { subject: 'a member', at });
    if (typeof key === 'number') {
      return {
        type: 'any',
        run: (scope) => {
          const value = run(scope);
          return Array.isArray(value) ? (value[key] ?? null) : null;
        },
      };
    }
    return {
      type: 'any',
      run: (scope) => {
        const value = run(scope);
        return value instanceof Map ? (value.get(key) ?? null) : null;
      },
    };
  }

  #not({ operand, at }: Expression & { readonly kind: 'not' }): Compiled {
    const { type, run } = this.compile(operand);
    this.expect(type, 'boolean', { subject: "'not'", at });
    return {
      type: 'boolean',
      run: (scope) => {
        const value = truth("'not'", run(scope));
        return value === null ? null : !value;
      },
    };
  }

  #logical({ operator, left, right, at }: Expression & { readonly kind: 'logical' }): Compiled {
    const sides = [this.compile(left), this.compile(right)] as const;
    const subject = `'${operator}'`;
    for (const { type } of sides) this.expect(type, 'boolean', { subject, at });
    const [first, second] = [sides[0].run, sides[1].run];
    // The value that settles the matter whatever the other side is.
    const decisive = operator === 'or';
    return {
      type: 'boolean',
      run: (scope) => {
        const one = truth(subject, first(scope));
        if (one === decisive) return one;
        const other = truth(subject, second(scope));
        if (other === decisive) return other;
        return one === null || other === null ? null : !decisive;
      },
    };
  }

  #compare({ operator, left, right, at }: Expression & { readonly kind: 'compare' }): Compiled {
    const [one, other] = [this.compile(left), this.compile(right)];
    this.#comparable(one.type, other.type, at);
    return {
      type: 'boolean',
      run: (scope) => compareValues(operator, one.run(scope), other.run(scope)),
    };
  }

  #comparable(left: StaticType, right: StaticType, at: number): void {
    if (comparable(left, right)) return;
    this.problem(`a ${left} cannot be compared with a ${right}`, at);
  }

  #arithmetic({
    operator,
    left,
    right,
    at,
  }: Expression & { readonly kind: 'arithmetic' }): Compiled {
    const [one, other] = [this.compile(left), this.compile(right)];
    for (const { type } of [one, other]) {
      this.expect(type, 'number', { subject: `'${operator}'`, at });
    }
    return {
      type: 'number',
      run: (scope) => calculate(operator, one.run(scope), other.run(scope)),
    };
  }

  #join({ left, right }: Expression & { readonly kind: 'join' }): Compiled {
    const [one, other] = [this.compile(left).run, this.compile(right).run];
    return {
      type: 'text',
      run: (scope) => {
        const [before, after] = [one(scope), other(scope)];
        return before === null || after === null ? null : textOf(before) + textOf(after);
      },
    };
  }

  #in({ operand, list, at }: Expression & { readonly kind: 'in' }): Compiled {
    const subject = this.compile(operand);
    const candidates = list.map((candidate) => this.compile(candidate));
    for (const { type } of candidates) this.#comparable(subject.type, type, at);
    return {
      type: 'boolean',
      run: (scope) => {
        const value = subject.run(scope);
        let answer: boolean | null = false;
        for (const candidate of candidates) {
          const equal = compareValues('=', value, candidate.run(scope));
          if (equal === true) return true;
          if (equal === null) answer = null;
        }
        return answer;
      },
    };
  }

  #case({ branches, otherwise }: Expression & { readonly kind: 'case' }): Compiled {
    const last = this.compile(otherwise);
    const compiled = branches.map(({ when, result }) => {
      const condition = this.compile(when);
      this.expect(condition.type, 'boolean', { subject: "'when'", at: when.at });
      return { when: condition.run, result: this.compile(result) };
    });
    return {
      type: commonType([...compiled.map(({ result }) => result.type), last.type]),
      run: (scope) => {
        const hit = compiled.find(({ when }) => truth("'when'", when(scope)) === true);
        return (hit?.result ?? last).run(scope);
      },
    };
  }
}

function literal(value: JsonNumber | string | boolean | null): Compiled {
  const run = () => value;
  if (value === null) return { type: 'null', run };
  if (value instanceof JsonNumber) return { type: 'number', run };
  return { type: typeof value === 'string' ? 'text' : 'boolean', run };
}
