/** The operations that carry values from one place to another: shift, extract, coalesce, default, delete, pass. */
import { KazaamFailure, missingPath } from './failure.ts';
import { goJson, goText } from './go-values.ts';
import {
  asList,
  asText,
  type CompileOperation,
  failing,
  type Place,
  type Source,
} from './operation.ts';

export const pass: CompileOperation = () => (text) => text;

type Read = (text: string) => string | null;

/** Where a value of a shift comes from; a list is read item by item, each in an array of its own. */
function sourcesOf(target: string, source: unknown, read: (path: string) => Read): readonly Read[] {
  if (typeof source === 'string') return [read(source)];
  if (!Array.isArray(source)) {
    const message = `Warn: Unknown type in message for key: ${target}`;
    return [failing(() => new KazaamFailure('parse', message))];
  }
  const wrong = source.find((item) => typeof item !== 'string');
  if (wrong !== undefined) return [failing(() => notText(wrong))];
  return source.map((item) => {
    const one = read(String(item));
    return (text: string) => {
      const json = one(text);
      return json === null ? null : `[${json}]`;
    };
  });
}

function notText(item: unknown): KazaamFailure {
  const message = `Warn: Unable to coerce element to json string: ${goText(item)}`;
  return new KazaamFailure('parse', message);
}

export const shift: CompileOperation = ({ entries, require, inplace, place, source: from }) => {
  const read = (path: string): Read => {
    if (path === '$') return (text) => text;
    const source = from(path);
    return (text) => source.get(text, require);
  };
  const moves = Object.entries(entries).map(([target, source]) => ({
    target: place(target),
    sources: sourcesOf(target, source, read),
  }));
  return (text) => {
    let out = inplace ? text : '{}';
    for (const { target, sources } of moves) {
      for (const source of sources) {
        const json = source(text);
        if (json !== null) out = target.set(out, json);
      }
    }
    return out;
  };
};

export const extract: CompileOperation = ({ entries, require, source: from }) => {
  if (!Object.hasOwn(entries, 'path')) {
    return failing(() => new KazaamFailure('spec', 'Unable to get path'));
  }
  const source = from(asText(entries['path'], 'path'));
  return (text) => {
    const json = source.get(text, require);
    if (json === null) throw missingPath();
    return json;
  };
};

/** It sets always, also what is there. */
export const setDefaults: CompileOperation = ({ entries, place }) => {
  const values = Object.entries(entries).map(([path, value]) => ({
    target: place(path),
    json: goJson(value),
  }));
  return (text) => values.reduce((out, { target, json }) => target.set(out, json), text);
};

export const remove: CompileOperation = ({ entries, require, place }) => {
  const fail = (message: string) => failing(() => new KazaamFailure('spec', message));
  if (!Object.hasOwn(entries, 'paths')) return fail('Unable to get paths to delete');
  const { paths } = entries;
  if (!Array.isArray(paths)) return fail(`paths should be a slice of strings: ${goText(paths)}`);
  const steps = paths.map((path: unknown) => {
    if (typeof path === 'string') return place(path).remove;
    return fail(`Error processing ${goText(path)}: path should be a string`);
  });
  return (text) => steps.reduce((out, step) => step(out, require), text);
};

interface Choice {
  readonly target: Place;
  readonly sources: readonly Source[];
}

export const coalesce: CompileOperation = ({ entries, require, place, source }) => {
  if (require) {
    const message = 'Invalid spec. Coalesce does not support "require"';
    return failing(() => new KazaamFailure('spec', message));
  }
  const { ignore, ...targets } = entries;
  const ignored = new Set(['null']);
  if (Object.hasOwn(entries, 'ignore')) {
    for (const one of asList(ignore, 'ignore')) ignored.add(goJson(one));
  }
  const choices = Object.entries(targets).map(([target, sources]): Choice | (() => never) => {
    if (!Array.isArray(sources)) {
      const message = `Warn: Expected list in message for key: ${target}`;
      return failing(() => new KazaamFailure('parse', message));
    }
    const wrong = sources.find((item) => typeof item !== 'string');
    if (wrong !== undefined) return failing(() => notText(wrong));
    return { target: place(target), sources: sources.map((path) => source(String(path))) };
  });
  return (text) => {
    let out = text;
    for (const choice of choices) {
      if (typeof choice === 'function') choice();
      else out = choose(out, choice, ignored);
    }
    return out;
  };
};

function choose(text: string, { target, sources }: Choice, ignored: ReadonlySet<string>): string {
  for (const source of sources) {
    const value = source.get(text, false);
    if (value !== null && !ignored.has(value)) return target.set(text, value);
  }
  return text;
}
