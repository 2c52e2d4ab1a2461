import { KazaamFailure, missingPath } from './failure.ts';
import { goText } from './go-values.ts';
import {
  asList,
  asObject,
  asText,
  type CompileOperation,
  escapedText,
  failing,
  type Setting,
} from './operation.ts';
import { elementsAt, slices } from './text.ts';

type Piece = (text: string) => string;

/** The text of a value; strict escapes what is no string, so that it can stand inside one. */
function inside(json: string, strict: boolean): string {
  if (json.startsWith('"')) return json.slice(1, -1);
  return strict ? escapedText(json) : json;
}

/** Items of an array follow each other without the delimiter; null, and the text null, are left out. */
function joined(json: string, strict: boolean): string {
  if (!json.startsWith('[')) return inside(json, strict);
  return slices(json, elementsAt(json, 0).spans)
    .filter((item) => item !== 'null' && (strict || item !== '"null"'))
    .map((item) => inside(item, strict))
    .join('');
}

function pieceOf(item: unknown, { require, strict, source: at }: Setting): Piece {
  const source = asObject(item, 'a source');
  if (Object.hasOwn(source, 'value')) {
    const value = asText(source['value'], 'value');
    const written = strict ? escapedText(value) : value;
    return () => written;
  }
  if (!Object.hasOwn(source, 'path')) {
    const message = `Error processing ${goText(source)}: must have either value or path specified`;
    return failing(() => new KazaamFailure('spec', message));
  }
  const from = at(asText(source['path'], 'path'));
  return (text) => {
    try {
      const json = from.get(text, require);
      return json === null ? '' : joined(json, strict);
    } catch (error) {
      if (!(error instanceof KazaamFailure) || error.kind === 'undefined') throw error;
      if (require) throw missingPath();
      return '';
    }
  };
}

export const concat: CompileOperation = (setting) => {
  const { entries, strict, place } = setting;
  for (const name of ['sources', 'targetPath']) {
    if (!Object.hasOwn(entries, name)) {
      return failing(() => new KazaamFailure('spec', `Unable to get ${name}`));
    }
  }
  const sources = asList(entries['sources'], 'sources');
  const pieces = sources.map((item) => pieceOf(item, setting));
  const given = Object.hasOwn(entries, 'delim') ? entries['delim'] : '';
  const plain = pieces.length > 1 ? asText(given, 'delim') : '';
  const delimiter = strict ? escapedText(plain) : plain;
  const target = place(asText(entries['targetPath'], 'targetPath'));
  return (text) => target.set(text, `"${pieces.map((one) => one(text)).join(delimiter)}"`);
};
