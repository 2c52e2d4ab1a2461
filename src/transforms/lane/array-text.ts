/** Arrays between PostgreSQL's text (`{1,"a b",NULL}`, `[0:1]={1,2}`, `{{1},{2}}`) and JSON. */
import type { LogicalType } from '../../core/value.ts';
import { arrayElements, type JsonSpan } from './json-members.ts';

const BOUNDS = /^(?:\[-?\d+:-?\d+\])+=/;
/** A quoted element, a plain one, or a mark. */
const TOKEN = /"((?:[^"\\]|\\.)*)"|((?:[^",{}\\]|\\.)+)|([{},])/suy;

const unescape = (text: string): string =>
  text.includes('\\') ? text.replace(/\\(.)/gsu, '$1') : text;

/** Null if the text is no array. `element` gives an element's JSON. */
export function arrayToJson(text: string, element: (text: string) => string): string | null {
  TOKEN.lastIndex = BOUNDS.exec(text)?.[0].length ?? 0;
  let json = '';
  let depth = 0;
  do {
    const match = TOKEN.exec(text);
    if (match === null) return null;
    const [, quoted, plain, mark] = match;
    if (mark === '{') {
      depth += 1;
      json += '[';
    } else if (mark === '}') {
      depth -= 1;
      json += ']';
    } else if (mark === ',') json += ',';
    else if (plain !== undefined && /^null$/i.test(plain)) json += 'null';
    else json += element(unescape(quoted ?? plain ?? ''));
  } while (depth > 0);
  return TOKEN.lastIndex === text.length && json.startsWith('[') ? json : null;
}

const PLAIN = /^[^\s{},"\\]+$/;

function elementText(text: string): string {
  const plain = PLAIN.test(text) && text.toLowerCase() !== 'null';
  return plain ? text : `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
}

/** Text of an element, null if the value is none of the element's type. */
export type ElementText = (type: LogicalType, json: string, span: JsonSpan) => string | null;

interface Part {
  readonly text: string;
  /** Lengths from here inwards; equal at all parts of one array. */
  readonly shape: string;
}

/** Null if it is no array of such elements, or its parts differ in length, which PostgreSQL's arrays cannot. */
export function arrayFromJson(
  json: string,
  span: JsonSpan,
  array: { readonly element: LogicalType; readonly text: ElementText },
): string | null {
  const read = (part: JsonSpan): Part | null => {
    const elements = arrayElements(json, part);
    if (elements === null) return null;
    const parts: Part[] = [];
    for (const element of elements) {
      const read1 = readElement(element);
      if (read1 === null || (parts[0] !== undefined && parts[0].shape !== read1.shape)) return null;
      parts.push(read1);
    }
    const inner = parts[0]?.shape ?? '';
    return {
      text: `{${parts.map(({ text }) => text).join(',')}}`,
      shape: `${elements.length},${inner}`,
    };
  };
  const readElement = (element: JsonSpan): Part | null => {
    if (element.kind === 'null') return { text: 'NULL', shape: '' };
    // Elements that are JSON may be arrays themselves: then only one dimension can be meant.
    if (element.kind === 'array' && array.element.kind !== 'json') {
      const nested = read(element);
      return nested === null || nested.text === '{}' ? null : nested;
    }
    const text = array.text(array.element, json, element);
    return text === null ? null : { text: elementText(text), shape: '' };
  };
  return span.kind === 'array' ? (read(span)?.text ?? null) : null;
}
