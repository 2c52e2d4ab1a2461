import { RE2JS } from 're2js';
import { castResult, CAST_NAMES, castValue } from './cast.ts';
import type { Compiler } from './compile.ts';
import type { Compiled } from './compiled.ts';
import { type FunctionRow, FUNCTIONS } from './functions.ts';
import { compareValues, truth, wrongType } from './operators.ts';
import type { Expression } from './syntax.ts';
import { commonType, type StaticType, typeOf, type Value } from './value.ts';

type Call = Expression & { readonly kind: 'call' };

const TO_TIMESTAMP = { name: 'timestamp', size: null } as const;

export function compileCall(compiler: Compiler, call: Call): Compiled {
  if (call.name === 'if') return compileIf(compiler, call);
  if (call.name === 'coalesce') return compileCoalesce(compiler, call);
  if (call.name === 'nullif') return compileNullIf(compiler, call);
  const castName = CAST_NAMES.find((name) => name === call.name);
  if (castName !== undefined) {
    const [operand] = operands(compiler, call, 1);
    const type = { name: castName, size: null };
    return {
      type: castResult(castName),
      run: (scope) => castValue(operand?.run(scope) ?? null, type, `${castName}()`),
    };
  }
  const row = Object.hasOwn(FUNCTIONS, call.name) ? FUNCTIONS[call.name] : undefined;
  if (row === undefined) {
    compiler.problem(`no function is called ${call.name}`, call.at);
    return { type: 'any', run: () => null };
  }
  return compileRow(compiler, call, row);
}

function compileRow(compiler: Compiler, call: Call, row: FunctionRow): Compiled {
  const args = call.args.map((arg) => compiler.compile(arg));
  const least = row.params.length - (row.optional ?? 0);
  if (args.length < least || (row.rest === undefined && args.length > row.params.length)) {
    compiler.problem(`${call.name}() takes ${arity(row, least)}`, call.at);
  }
  const types = args.map((_, index) => row.params[index] ?? row.rest ?? 'any');
  for (const [index, { type }] of args.entries()) {
    const place = { subject: `${call.name}()`, at: call.args[index]?.at ?? call.at };
    compiler.expect(type, types[index] ?? 'any', place);
  }
  const pattern = row.pattern === undefined ? null : compilePattern(compiler, call, row.pattern);
  const subject = `${call.name}()`;
  return {
    type: row.result,
    run: (scope) => {
      const values: Value[] = [];
      for (const [index, { run }] of args.entries()) {
        const value = run(scope);
        if (value === null && row.takesNull === undefined) return null;
        values.push(argument(subject, types[index] ?? 'any', value));
      }
      return row.run(values, { now: scope.now, pattern });
    },
  };
}

function argument(subject: string, wanted: StaticType, value: Value): Value {
  const type = typeOf(value);
  if (wanted === 'any' || type === 'null' || type === wanted) return value;
  if (wanted === 'timestamp' && (type === 'text' || type === 'date')) {
    return castValue(value, TO_TIMESTAMP, `an argument of ${subject}`);
  }
  throw wrongType(subject, wanted, value);
}

function arity(row: FunctionRow, least: number): string {
  const most = row.params.length;
  const plural = (count: number) => `${count} argument${count === 1 ? '' : 's'}`;
  if (row.rest !== undefined) return `${plural(least)} at least`;
  return least === most ? plural(most) : `${least} to ${plural(most)}`;
}

/** RE2's syntax and its promise: time linear in the text, whatever the pattern. */
function compilePattern(compiler: Compiler, call: Call, index: number): RE2JS | null {
  const source = call.args[index];
  if (source === undefined) return null;
  if (source.kind !== 'literal' || typeof source.value !== 'string') {
    compiler.problem(`the pattern of ${call.name}() has to be a text as it stands`, source.at);
    return null;
  }
  try {
    return RE2JS.compile(source.value);
  } catch (error) {
    const why = error instanceof Error ? error.message : 'it cannot be read';
    compiler.problem(`the pattern of ${call.name}() is not valid: ${why}`, source.at);
    return null;
  }
}

function operands(compiler: Compiler, call: Call, count: number): readonly Compiled[] {
  if (call.args.length !== count) {
    compiler.problem(`${call.name}() takes ${count} argument${count === 1 ? '' : 's'}`, call.at);
  }
  return call.args.map((arg) => compiler.compile(arg));
}

const NOTHING: Compiled = { type: 'null', run: () => null };

/** Only the branch taken is evaluated. */
function compileIf(compiler: Compiler, call: Call): Compiled {
  const [condition = NOTHING, then = NOTHING, otherwise = NOTHING] = operands(compiler, call, 3);
  compiler.expect(condition.type, 'boolean', { subject: 'if()', at: call.at });
  return {
    type: commonType([then.type, otherwise.type]),
    run: (scope) => (truth('if()', condition.run(scope)) === true ? then : otherwise).run(scope),
  };
}

function compileNullIf(compiler: Compiler, call: Call): Compiled {
  const [value = NOTHING, other = NOTHING] = operands(compiler, call, 2);
  return {
    type: value.type,
    run: (scope) => {
      const one = value.run(scope);
      return compareValues('=', one, other.run(scope)) === true ? null : one;
    },
  };
}

/** What follows the first value is not evaluated. */
function compileCoalesce(compiler: Compiler, call: Call): Compiled {
  const values = call.args.map((arg) => compiler.compile(arg));
  if (values.length === 0) compiler.problem('coalesce() takes 1 argument at least', call.at);
  return {
    type: commonType(values.map(({ type }) => type)),
    run: (scope) => {
      for (const { run } of values) {
        const value = run(scope);
        if (value !== null) return value;
      }
      return null;
    },
  };
}
