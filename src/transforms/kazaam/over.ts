import type { Rules } from './edit.ts';
import { setKeys } from './edit.ts';
import { KazaamFailure, keyPathNotFound } from './failure.ts';
import type { Apply } from './operation.ts';
import { elementsAt, MALFORMED_ARRAY, nextToken, OPEN_ARRAY, slices } from './text.ts';

/** In compat a failing element ends the work on the document, which stays as it was, and nobody is told. */
class OverStopped extends Error {
  constructor() {
    super('an element failed');
    this.name = 'OverStopped';
  }
}

export function isOverStopped(error: unknown): boolean {
  return error instanceof OverStopped;
}

function elementsOver(text: string, keys: readonly string[], rules: Rules): string[] {
  const found = rules.search(text, keys);
  if (found === -1) throw keyPathNotFound();
  // Upstream takes the first character of a root for the bracket, whatever it is.
  const at = keys.length === 0 && !rules.strict ? 0 : nextToken(text, found);
  const isArray = text.charCodeAt(at) === OPEN_ARRAY || (keys.length === 0 && !rules.strict);
  const { spans, fault } = isArray ? elementsAt(text, at) : { spans: [], fault: MALFORMED_ARRAY };
  if (fault !== null) throw new KazaamFailure('raw', fault);
  return slices(text, spans);
}

/** The operation on each element of the array; the parts of `over` are keys, split at points. */
export function applyOver(over: string, apply: Apply, rules: Rules): Apply {
  const keys = over === '$' ? [] : over.split('.');
  return (text) => {
    const elements = elementsOver(text, keys, rules).map((element) => {
      try {
        return apply(element);
      } catch (error) {
        const dropped = error instanceof KazaamFailure && !rules.strict;
        throw dropped ? new OverStopped() : error;
      }
    });
    const array = `[${elements.join(',')}]`;
    return keys.length === 0 ? array : setKeys(text, array, keys, rules);
  };
}
