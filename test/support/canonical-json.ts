// JSON texts that say the same have one form: members sorted, numbers as they are written.
import {
  elementsAt,
  nextToken,
  slices,
  stringEnd,
  valueAt,
} from '../../src/transforms/kazaam/text.ts';

function members(json: string): [string, string][] {
  const found: [string, string][] = [];
  let at = nextToken(json, 1);
  while (json.charAt(at) === '"') {
    const end = stringEnd(json, at + 1);
    const { from, to } = valueAt(json, nextToken(json, end) + 1);
    found.push([JSON.parse(json.slice(at, end)), json.slice(from, to)]);
    const next = nextToken(json, to);
    at = json.charAt(next) === ',' ? nextToken(json, next + 1) : next;
  }
  return found;
}

function canonical(json: string): string {
  if (json.startsWith('{')) {
    const sorted = members(json).toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    return `{${sorted.map(([key, value]) => `${JSON.stringify(key)}:${canonical(value)}`).join(',')}}`;
  }
  if (json.startsWith('['))
    return `[${slices(json, elementsAt(json, 0).spans).map(canonical).join(',')}]`;
  return json.startsWith('"') ? JSON.stringify(JSON.parse(json)) : json;
}

/** What is no JSON stands for itself. */
export function canonicalJson(text: string): string {
  try {
    JSON.parse(text);
  } catch {
    return `no JSON: ${text}`;
  }
  return canonical(text.trim());
}
