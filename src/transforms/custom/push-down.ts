/**
 * What of a custom transformation a source can do in its own query with the same result: renames, drops, constants,
 * some masks, and filters that cannot fail on any row. All of it, or nothing.
 */
import type { Predicate, ProjectedColumn } from '../../core/projection.ts';
import type { StreamSchema } from '../../core/stream-schema.ts';
import { parseExpression } from '../expression/parser.ts';
import type { Comparison, Expression } from '../expression/syntax.ts';
import { JsonNumber, type JsonScalar } from '../json/value.ts';
import { writeJson } from '../json/write.ts';
import { parseColumnPath } from './column-path.ts';
import {
  CustomSpecification,
  type MaskSpecification,
  type StepSpecification,
} from './specification.ts';

export type PushedField =
  | Exclude<ProjectedColumn, { readonly kind: 'constant' }>
  | { readonly kind: 'constant'; readonly json: string };

export type PushDown =
  /** Fields of the outcome by name, in their order; rows for which `where` is not true are filtered. */
  | {
      readonly kind: 'pushed';
      readonly fields: ReadonlyMap<string, PushedField>;
      readonly where: Predicate | null;
    }
  | { readonly kind: 'kept'; readonly why: string };

type Mapping = NonNullable<StepSpecification['mapping']>;
type Fields = Map<string, PushedField>;

const MIRRORED: Readonly<Record<Comparison, Comparison>> = {
  '=': '=',
  '<>': '<>',
  '<': '>',
  '<=': '>=',
  '>': '<',
  '>=': '<=',
};
const PLAIN_NUMBER = /^-?\d{1,100}(?:\.\d{1,100})?$/;
/** What every encoding of a database can say. */
const PLAIN_TEXT = /^[ -~]*$/;
/**
 * A day of this form is told from any date or time within its ten characters, which are the same in every form that
 * those are written in.
 */
const DAY = /^\d{4}-\d\d-\d\d$/;
const UNKNOWN: Predicate = { kind: 'constant', value: null };

/** Carries the reason out of a recursion; never leaves this file. */
class Kept extends Error {}

function keep(why: string): never {
  throw new Kept(why);
}

/** The name of a column at the top of the document. */
function topName(text: string): string {
  const path = parseColumnPath(text);
  const [step] = path ?? [];
  if (path?.length === 1 && step?.kind === 'key') return step.key;
  return keep(`${text} is inside of a value`);
}

function scalarOf(value: JsonScalar): PushedField {
  if (typeof value === 'string' && !PLAIN_TEXT.test(value))
    keep('a constant has characters that not every database has');
  return { kind: 'constant', json: writeJson(value) };
}

function redacted(column: number, text: string | null): PushedField {
  const constant = scalarOf(text);
  return text === null ? constant : { kind: 'replaced', column, text };
}

class Analysis {
  readonly #schema: StreamSchema;
  #fields: Fields;
  readonly #filters: Predicate[] = [];

  constructor(schema: StreamSchema) {
    this.#schema = schema;
    this.#fields = new Map(
      schema.columns.map(({ name }, column) => [name, { kind: 'column', column }]),
    );
  }

  run(specification: CustomSpecification): PushDown {
    if (this.#schema.rawText === true) keep('the source does not know how its text is encoded');
    for (const step of specification.steps ?? [specification]) this.#step(step);
    const [first, ...others] = this.#filters;
    const where =
      first === undefined || others.length === 0
        ? (first ?? null)
        : ({ kind: 'and', parts: this.#filters } as const);
    return { kind: 'pushed', fields: this.#fields, where };
  }

  #step({ filter, mapping, mask, module }: StepSpecification): void {
    if (module !== undefined) keep('a module runs here');
    if (filter !== undefined) this.#filters.push(this.#predicate(parseExpression(filter)));
    if (mapping !== undefined) this.#mapping(mapping);
    for (const [column, method] of Object.entries(mask ?? {})) this.#mask(topName(column), method);
  }

  #mapping({ rename, drop, cast, set }: Mapping): void {
    if (rename !== undefined) this.#rename(Object.entries(rename));
    for (const column of drop ?? []) this.#fields.delete(topName(column));
    const [casted] = Object.keys(cast ?? {});
    if (casted !== undefined) keep(`${casted} is cast here`);
    const values = Object.entries(set ?? {}).map(
      ([column, value]) => [topName(column), this.#set(column, value)] as const,
    );
    for (const [column, field] of values) this.#fields.set(column, field);
  }

  #rename(moves: readonly (readonly [string, string])[]): void {
    const names = new Map(moves.map(([from, to]) => [topName(from), topName(to)]));
    const fields: Fields = new Map();
    for (const [name, field] of this.#fields) {
      const now = names.get(name) ?? name;
      if (fields.has(now)) keep(`two columns would be called ${now}`);
      fields.set(now, field);
    }
    this.#fields = fields;
  }

  #set(column: string, value: string | number | boolean | null): PushedField {
    if (typeof value === 'number') return scalarOf(new JsonNumber(String(value)));
    if (typeof value !== 'string') return scalarOf(value);
    const expression = parseExpression(value);
    if (expression.kind === 'literal') return scalarOf(expression.value);
    if (expression.kind === 'column')
      return this.#fields.get(expression.name) ?? { kind: 'constant', json: 'null' };
    return keep(`${column} is computed here`);
  }

  #mask(name: string, mask: MaskSpecification): void {
    const field = this.#fields.get(name);
    if (field === undefined) return;
    if (field.kind !== 'column') keep(`${name} is masked here`);
    if (mask.method === 'redact') {
      this.#fields.set(name, redacted(field.column, mask.value));
      return;
    }
    if (mask.method !== 'truncate') keep(`${name} is masked here, so that no key leaves it`);
    if (this.#schema.columns[field.column]?.type.kind !== 'text')
      keep(`${name} is no text and is cut here`);
    this.#fields.set(name, { kind: 'prefix', column: field.column, characters: mask.length });
  }

  #predicate(expression: Expression): Predicate {
    switch (expression.kind) {
      case 'literal': {
        const { value } = expression;
        if (value === null || typeof value === 'boolean') return { kind: 'constant', value };
        return keep('the filter is no truth value');
      }
      case 'column':
        return this.#truth(expression.name);
      case 'not':
        return { kind: 'not', part: this.#predicate(expression.operand) };
      case 'logical': {
        const parts = [this.#predicate(expression.left), this.#predicate(expression.right)];
        return { kind: expression.operator, parts };
      }
      case 'is-null':
        return this.#isNull(expression.operand);
      case 'in': {
        const { operand, list } = expression;
        const parts = list.map((candidate) => this.#compare('=', operand, candidate));
        return { kind: 'or', parts };
      }
      case 'compare':
        return this.#compare(expression.operator, expression.left, expression.right);
      default:
        return keep('the filter is computed here');
    }
  }

  /** The column of the source that an expression is; null: there is none, so the value is null. */
  #column(expression: Expression): { readonly column: number; readonly name: string } | null {
    if (expression.kind !== 'column') return keep('the filter is computed here');
    const { name } = expression;
    const field = this.#fields.get(name);
    if (field === undefined) return null;
    if (field.kind === 'column') return { column: field.column, name };
    return keep(`the filter looks at ${name}, which is not the source's any more`);
  }

  #truth(name: string): Predicate {
    const at = this.#column({ kind: 'column', name, at: 0 });
    if (at === null) return UNKNOWN;
    const { column } = at;
    if (this.#schema.columns[column]?.type.kind === 'boolean') return { kind: 'is-true', column };
    return keep(`the filter takes ${name} for a truth value`);
  }

  #isNull(operand: Expression): Predicate {
    const at = this.#column(operand);
    if (at === null) return { kind: 'constant', value: true };
    // JSON has a null of its own.
    if (this.#schema.columns[at.column]?.type.kind === 'json')
      keep(`the filter looks into ${at.name}`);
    return { kind: 'is-null', column: at.column };
  }

  #compare(operator: Comparison, left: Expression, right: Expression): Predicate {
    const value = literalOf(right);
    if (value === undefined) {
      if (literalOf(left) === undefined) return keep('the filter is computed here');
      return this.#compare(MIRRORED[operator], right, left);
    }
    const at = this.#column(left);
    if (at === null || value === null) return UNKNOWN;
    const { column, name } = at;
    const kind = this.#schema.columns[column]?.type.kind;
    if (typeof value === 'boolean' && kind === 'boolean' && /^(?:=|<>)$/.test(operator)) {
      const isTrue: Predicate = { kind: 'is-true', column };
      return value === (operator === '=') ? isTrue : { kind: 'not', part: isTrue };
    }
    if (value instanceof JsonNumber && kind === 'int' && PLAIN_NUMBER.test(value.lexeme))
      return { kind: 'number', column, operator, number: value.lexeme };
    if (typeof value === 'string' && this.#comparesText(column, operator, value))
      return { kind: 'text', column, operator, text: value };
    return keep(`the filter compares ${name} here`);
  }

  #comparesText(column: number, operator: Comparison, text: string): boolean {
    const kind = this.#schema.columns[column]?.type.kind;
    if (kind === 'date' || kind === 'timestamp') return DAY.test(text);
    const equality = operator === '=' || operator === '<>';
    return (kind === 'text' || kind === 'uuid') && equality && PLAIN_TEXT.test(text);
  }
}

/** Undefined: no literal. */
function literalOf(expression: Expression): JsonScalar | undefined {
  if (expression.kind === 'literal') return expression.value;
  if (expression.kind !== 'negate' || expression.operand.kind !== 'literal') return undefined;
  const { value } = expression.operand;
  if (!(value instanceof JsonNumber) || value.lexeme.startsWith('-')) return undefined;
  return new JsonNumber(`-${value.lexeme}`);
}

/** The specification is one that compiles. */
export function pushDown(specification: unknown, schema: StreamSchema): PushDown {
  try {
    return new Analysis(schema).run(CustomSpecification.parse(specification));
  } catch (error) {
    if (error instanceof Kept) return { kind: 'kept', why: error.message };
    throw error;
  }
}
