/**
 * Kazaam: JSON documents transformed by a declarative specification, equal to github.com/qntfy/kazaam/v4 4.0.1.
 * A document stays text: values are cut out and put in as they are written.
 */
import type { ErrorCode } from '../../core/errors.ts';
import type { DocumentTransform, Outcome } from '../document-transform.ts';
import type { DocumentsInPlace, LineTransform } from '../line-transform.ts';
import { decoded, toByteText } from './byte-text.ts';
import { concat } from './concat.ts';
import { type Convert, converter, type ConverterConfig } from './converters.ts';
import type { Rules } from './edit.ts';
import { inSteps, merge, mergedConfig } from './extended.ts';
import { type FailureKind, KazaamFailure, undefinedUpstream } from './failure.ts';
import { type Fused, fuse } from './fuse.ts';
import { coalesce, extract, pass, remove, setDefaults, shift } from './moves.ts';
import {
  type Apply,
  type CompileOperation,
  escapedText,
  failing,
  placeOf,
  type Source,
} from './operation.ts';
import { applyOver, isOverStopped } from './over.ts';
import { type ParameterNames, sourceWithParameters } from './parameters.ts';
import { readPath, walkPath } from './path.ts';
import { isPlainJson } from './scan.ts';
import { searchLoosely, searchStrictly } from './search.ts';
import { type OperationSpec, readSpecification } from './specification.ts';
import { timestamp } from './timestamp.ts';
import { uuid } from './uuid.ts';

export interface KazaamOptions {
  /** `compat` has upstream's errors too; `strict` mends those that lose or break data. */
  readonly mode: 'compat' | 'strict';
  readonly dialect: 'kazaam' | 'extended';
}

const OPERATIONS: Readonly<Record<string, CompileOperation>> = {
  pass,
  shift,
  extract,
  default: setDefaults,
  delete: remove,
  concat,
  coalesce,
  timestamp,
  uuid,
};

const PREFIXES: Readonly<Record<FailureKind, string>> = {
  parse: 'ParseError - ',
  require: 'RequiredError - ',
  spec: 'SpecError - ',
  raw: '',
  undefined: 'SpecError - ',
};

const CODES: Readonly<Record<FailureKind, ErrorCode>> = {
  parse: 'kazaam_parse',
  require: 'kazaam_require',
  spec: 'kazaam_spec',
  raw: 'kazaam_parse',
  undefined: 'kazaam_spec',
};

const COMPAT: Rules = { search: searchLoosely, writeKey: (key) => key, strict: false };
const STRICT: Rules = { search: searchStrictly, writeKey: escapedText, strict: true };

const EXTENDED_OPERATIONS: Readonly<Record<string, CompileOperation>> = {
  ...OPERATIONS,
  steps: inSteps,
  merge,
};

interface Dialect {
  readonly operations: Readonly<Record<string, CompileOperation>>;
  readonly source: (path: string, separator: string) => Source;
}

function plainDialect(rules: Rules): Dialect {
  const source = (path: string, separator: string): Source =>
    placeOf(readPath(path, separator, rules.strict), rules);
  return { operations: OPERATIONS, source };
}

function extendedDialect(rules: Rules, config: ConverterConfig): Dialect {
  const { strict } = rules;
  const converterOf = (name: string, args: string): Convert =>
    converter({ name, args, strict, config });
  const source = (text: string, separator: string): Source => {
    const read = (path: string) => {
      const place = placeOf(readPath(path, separator, strict), rules);
      return (document: string) => place.get(document, true);
    };
    const walk: ParameterNames['walk'] = (path) => {
      const way = readPath(path, separator, strict);
      return (document, visit) => walkPath(document, way, rules, visit);
    };
    return sourceWithParameters(text, { read, walk, converter: converterOf });
  };
  return { operations: EXTENDED_OPERATIONS, source };
}

function compileOperation(spec: OperationSpec, rules: Rules, dialect: Dialect): Apply {
  const { strict } = rules;
  const compile = dialect.operations[spec.operation];
  if (compile === undefined || (spec.spec === null && compile !== pass)) {
    return failing(() => undefinedUpstream(`${spec.operation} has no spec`));
  }
  try {
    return compile({
      entries: spec.spec ?? {},
      require: spec.require,
      inplace: spec.inplace,
      strict,
      place: (path) => placeOf(readPath(path, spec.keySeparator, strict), rules),
      source: (path) => dialect.source(path, spec.keySeparator),
    });
  } catch (error) {
    // Upstream loads it and fails when the operation is called.
    if (error instanceof KazaamFailure) return failing(() => error);
    throw error;
  }
}

function isJson(text: string): boolean {
  const { bytes, length } = toByteText(text);
  if (isPlainJson(bytes, length)) return true;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function failed({ kind, message }: KazaamFailure, mode: KazaamOptions['mode']): Outcome {
  const prefix = mode === 'compat' ? PREFIXES[kind] : '';
  return { kind: 'failed', code: CODES[kind], message: prefix + message };
}

interface Plan {
  readonly steps: readonly Apply[];
  /** Stands for the first steps, where a document allows it. */
  readonly fused: Fused | null;
  readonly mode: KazaamOptions['mode'];
  /** Whether an empty document comes back. */
  readonly takesNothing: boolean;
}

/** What the first operations make of the document, if it can be done at once; then it is known to be JSON. */
function runFused(json: string, fused: Fused | null): string | null {
  if (fused === null) return null;
  const { bytes, length, text, isAscii } = toByteText(json);
  const result = fused.inPlace.transform(bytes, text, 0);
  if (result === null || fused.inPlace.end() !== length) return null;
  return isAscii && fused.isAscii ? result : decoded(result);
}

interface Run {
  readonly result: string | KazaamFailure;
  /** Whether the document is known to be JSON. */
  readonly known: boolean;
}

function run(json: string, { steps, fused }: Plan): Run {
  let text = json;
  let known = false;
  try {
    const first = runFused(json, fused);
    known = first !== null;
    text = first ?? json;
    for (let i = known ? (fused?.operations ?? 0) : 0; i < steps.length; i += 1) {
      text = steps[i]?.(text) ?? text;
    }
  } catch (error) {
    if (error instanceof KazaamFailure) return { result: error, known };
    if (!isOverStopped(error)) throw error;
  }
  return { result: text, known };
}

function compilePlan(spec: unknown, { mode, dialect }: KazaamOptions): Plan {
  const rules = mode === 'strict' ? STRICT : COMPAT;
  const extended = dialect === 'extended';
  const names = Object.keys(extended ? EXTENDED_OPERATIONS : OPERATIONS);
  const specs = readSpecification(spec, names);
  if (specs === null) {
    const step = failing(() => new KazaamFailure('spec', 'Kazaam not properly initialized'));
    return { steps: [step], fused: null, mode, takesNothing: false };
  }
  // The settings of converters hold for the operations that follow too.
  let config: ConverterConfig = { mapped: null, regex: null };
  const applies = specs.map((one) => {
    config = mergedConfig(config, one.converters);
    const language = extended ? extendedDialect(rules, config) : plainDialect(rules);
    const apply = compileOperation(one, rules, language);
    return one.over === null ? apply : applyOver(one.over, apply, rules);
  });
  const fused = fuse(specs, { strict: rules.strict, extended });
  return { steps: applies, fused, mode, takesNothing: true };
}

function transformBy(plan: Plan): DocumentTransform {
  return (json) => {
    if (json === '' && plan.takesNothing) return { kind: 'document', json };
    const { result, known } = run(json, plan);
    // A specification that is wrong for every document is told first, as upstream does.
    const isSpecAtFault = result instanceof KazaamFailure && result.kind === 'spec';
    if (!known && !isSpecAtFault && !isJson(json)) {
      return failed(new KazaamFailure('parse', 'the document is no JSON'), plan.mode);
    }
    if (result instanceof KazaamFailure) return failed(result, plan.mode);
    return { kind: 'document', json: result };
  };
}

/**
 * Throws a ForebayError `kazaam_spec` for a specification that upstream refuses to load. An empty document
 * comes back empty.
 */
export function compileKazaam(spec: unknown, options: KazaamOptions): DocumentTransform {
  return transformBy(compilePlan(spec, options));
}

/** The same for documents that stand one a line, as bytes. */
export function compileKazaamLines(spec: unknown, options: KazaamOptions): LineTransform {
  const plan = compilePlan(spec, options);
  const one = transformBy(plan);
  const { fused, steps } = plan;
  if (fused === null || fused.operations < steps.length) return { one, inPlace: null };
  const { inPlace } = fused;
  const transform: DocumentsInPlace['transform'] = (bytes, text, from) => {
    try {
      return inPlace.transform(bytes, text, from);
    } catch (error) {
      // Told by the transform of one document.
      if (error instanceof KazaamFailure) return null;
      throw error;
    }
  };
  return { one, inPlace: { transform, end: inPlace.end } };
}
