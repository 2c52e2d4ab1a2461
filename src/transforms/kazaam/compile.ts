/**
 * Kazaam: JSON documents transformed by a declarative specification, equal to github.com/qntfy/kazaam/v4 4.0.1.
 * A document stays text: values are cut out and put in as they are written.
 */
import type { ErrorCode } from '../../core/errors.ts';
import type { DocumentTransform, Outcome } from '../document-transform.ts';
import { concat } from './concat.ts';
import type { Rules } from './edit.ts';
import { type FailureKind, KazaamFailure, undefinedUpstream } from './failure.ts';
import { type Fused, fuse } from './fuse.ts';
import { coalesce, extract, pass, remove, setDefaults, shift } from './moves.ts';
import {
  type Apply,
  type CompileOperation,
  escapedText,
  failing,
  placeOf,
} from './operation.ts';
import { applyOver, isOverStopped } from './over.ts';
import { readPath } from './path.ts';
import { findings, scan } from './scan.ts';
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
};

const CODES: Readonly<Record<FailureKind, ErrorCode>> = {
  parse: 'kazaam_parse',
  require: 'kazaam_require',
  spec: 'kazaam_spec',
  raw: 'kazaam_parse',
};

const COMPAT: Rules = { search: searchLoosely, writeKey: (key) => key, strict: false };
const STRICT: Rules = { search: searchStrictly, writeKey: escapedText, strict: true };

function compileOperation(spec: OperationSpec, rules: Rules): Apply {
  const { strict } = rules;
  const compile = OPERATIONS[spec.operation];
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
    });
  } catch (error) {
    // Upstream loads it and fails when the operation is called.
    if (error instanceof KazaamFailure) return failing(() => error);
    throw error;
  }
}

const nothing = findings(0, 0);

function isJson(text: string): boolean {
  if (scan(text, null, nothing)) return true;
  // The scan gives up on deep documents.
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
}

/** Whether the document is known to be JSON comes with what became of it. */
function run(json: string, { steps, fused, mode }: Plan): readonly [Outcome, boolean] {
  let text = json;
  let known = false;
  try {
    const first = fused?.apply(json) ?? null;
    known = first !== null;
    text = first ?? json;
    for (let i = known ? (fused?.operations ?? 0) : 0; i < steps.length; i += 1) {
      text = steps[i]?.(text) ?? text;
    }
  } catch (error) {
    if (!isOverStopped(error)) {
      if (error instanceof KazaamFailure) return [failed(error, mode), true];
      throw error;
    }
  }
  return [{ kind: 'document', json: text }, known];
}

/**
 * Throws a ForebayError `kazaam_spec` for a specification that upstream refuses to load. An empty document
 * comes back empty.
 */
export function compileKazaam(spec: unknown, { mode }: KazaamOptions): DocumentTransform {
  const rules = mode === 'strict' ? STRICT : COMPAT;
  const specs = readSpecification(spec, Object.keys(OPERATIONS));
  const steps = specs?.map((one) => {
    const apply = compileOperation(one, rules);
    return one.over === null ? apply : applyOver(one.over, apply, rules);
  }) ?? [failing(() => new KazaamFailure('spec', 'Kazaam not properly initialized'))];
  const fused = fuse(specs ?? [], rules.strict);
  const plan: Plan = { steps, fused, mode };
  return (json) => {
    if (json === '' && specs !== null) return { kind: 'document', json };
    const [outcome, known] = run(json, plan);
    // Upstream looks at no more of a document than it needs; what is no JSON fails here in any case.
    if (known || isJson(json)) return outcome;
    return failed(new KazaamFailure('parse', 'the document is no JSON'), mode);
  };
}
