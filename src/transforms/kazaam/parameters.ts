/**
 * What the extended dialect lets stand behind a path that is read:
 * `path ? condition : default | converter arguments | ...`. A backslash takes the meaning from `|`, `?`, a blank
 * and itself.
 */
import { type ConditionNames, readCondition } from './condition.ts';
import type { Convert } from './converters.ts';
import { KazaamFailure, missingPath } from './failure.ts';
import type { Source } from './operation.ts';

interface ConverterCall {
  readonly name: string;
  readonly args: string;
}

interface Parameters {
  readonly path: string;
  /** Whether there is a question mark: what is missing is then left out and nothing is required. */
  readonly conditional: boolean;
  readonly condition: string | null;
  /** JSON. */
  readonly fallback: string | null;
  readonly converters: readonly ConverterCall[];
}

/** At each `|` that is neither escaped nor one of two. */
function splitAtPipes(text: string): readonly string[] {
  const parts = [''];
  for (const [piece] of text.matchAll(/\\.|\|\||\||[^\\|]+|\\$/gs)) {
    if (piece === '|') parts.push('');
    else parts.push((parts.pop() ?? '') + piece);
  }
  return parts;
}

const unescaped = (text: string): string => text.replaceAll(/\\(.)/gs, '$1');

/** Blanks around arguments do not count, but for those behind a backslash. */
function converterCall(part: string): ConverterCall {
  const [, name = '', rest = ''] = /^\s*(\w*)\s*(.*)$/s.exec(part) ?? [];
  if (name === '') throw new KazaamFailure('spec', `no converter is named after a | in a path`);
  const args = rest.replace(/((?:^|[^\\])(?:\\\\)*(?:\\\s)?)\s*$/, '$1');
  return { name, args: unescaped(args) };
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function readHead(head: string): Omit<Parameters, 'converters'> {
  const [, path = '', mark, rest = ''] = /^((?:\\.|[^\\?])*)(\?)?(.*)$/s.exec(head) ?? [];
  const plain = { path: path.trim().replaceAll(/\\([|?\\ ])/g, '$1') };
  if (mark === undefined) return { ...plain, conditional: false, condition: null, fallback: null };
  const [, condition, after] = /^\s*(.*?)\s*:\s*([\w.+-]*|".*")\s*$/s.exec(rest) ?? [];
  const given = (after ?? rest).trim().replaceAll(/\\([|\\])/g, '$1');
  const fallback = isJson(given) ? given : null;
  return { ...plain, conditional: true, condition: condition ?? null, fallback };
}

function readParameters(text: string): Parameters {
  const [head = '', ...calls] = splitAtPipes(text);
  return { ...readHead(head), converters: calls.map(converterCall) };
}

export interface ParameterNames extends ConditionNames {
  /** Calls back with the value at the place, or at each of them, null for one that is missing. */
  readonly walk: (
    path: string,
  ) => (text: string, visit: (json: string | null) => string | null) => string | null;
}

/** A condition that cannot be read or evaluated does not hold. */
function conditionHolds(condition: string, names: ConditionNames): (text: string) => boolean {
  const guarded =
    <T>(act: () => T, otherwise: T) =>
    (): T => {
      try {
        return act();
      } catch (error) {
        if (error instanceof KazaamFailure) return otherwise;
        throw error;
      }
    };
  const holds = guarded<((text: string) => boolean) | null>(
    () => readCondition(condition, names),
    null,
  )();
  return (text) => holds !== null && guarded(() => holds(text), false)();
}

export function sourceWithParameters(text: string, names: ParameterNames): Source {
  const { path, conditional, condition, fallback, converters } = readParameters(text);
  const walk = names.walk(path);
  const chain = converters.map(({ name, args }): Convert => names.converter(name, args));
  const holds = condition === null ? () => true : conditionHolds(condition, names);
  const convert = (json: string): string => chain.reduce((value, one) => one(value), json);
  return {
    get: (document, required) =>
      walk(document, (json) => {
        if (json === null && !conditional) {
          if (required) throw missingPath();
          return convert('null');
        }
        const value = json !== null && holds(document) ? json : fallback;
        return value === null ? null : convert(value);
      }),
  };
}
