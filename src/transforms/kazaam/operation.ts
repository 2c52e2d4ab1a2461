/** What the operations of a specification have in common: their settings, and how paths are read and written. */
import type { Rules } from './edit.ts';
import { undefinedUpstream } from './failure.ts';
import { isObject } from './go-values.ts';
import { deletePath, getPath, type Path, setPath } from './path.ts';

/** Turns the text of a document into that of another; throws a KazaamFailure. */
export type Apply = (text: string) => string;

/** A place in a document, as a path of the specification names it. */
export interface Place {
  readonly path: Path;
  readonly get: (text: string, required: boolean) => string;
  readonly set: (text: string, value: string) => string;
  readonly remove: (text: string, required: boolean) => string;
}

/** What is read at a path; null where a condition leaves it out. */
export interface Source {
  readonly get: (text: string, required: boolean) => string | null;
}

export interface Setting {
  readonly entries: Readonly<Record<string, unknown>>;
  readonly require: boolean;
  readonly inplace: boolean;
  readonly strict: boolean;
  readonly place: (path: string) => Place;
  readonly source: (path: string) => Source;
}

export type CompileOperation = (setting: Setting) => Apply;

export function placeOf(path: Path, rules: Rules): Place {
  return {
    path,
    get: (text, required) => getPath(text, path, required, rules),
    set: (text, value) => setPath(text, value, path, rules),
    remove: (text, required) => deletePath(text, path, required, rules),
  };
}

export function asText(value: unknown, what: string): string {
  if (typeof value !== 'string') throw undefinedUpstream(`${what} must be a string`);
  return value;
}

export function asList(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw undefinedUpstream(`${what} must be an array`);
  return value;
}

export function asObject(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (!isObject(value)) throw undefinedUpstream(`${what} must be an object`);
  return value;
}

/** The inside of a JSON string with this text. */
export function escapedText(text: string): string {
  return JSON.stringify(text.toWellFormed()).slice(1, -1);
}

/** What is only known to be wrong when it is called is wrong each time. */
export function failing(make: () => Error): () => never {
  return () => {
    throw make();
  };
}
