import { JsonNumber, type JsonValue } from './value.ts';

/** The shortest text of a value, keys in their order, numbers as they were read. */
export function writeJson(value: JsonValue): string {
  if (typeof value === 'string') return writeText(value);
  if (value === null || typeof value === 'boolean') return String(value);
  if (value instanceof JsonNumber) return value.lexeme;
  let text = '';
  if (Array.isArray(value)) {
    for (const element of value) text += `${text === '' ? '' : ','}${writeJson(element)}`;
    return `[${text}]`;
  }
  for (const [key, member] of value) {
    text += `${text === '' ? '' : ','}${writeText(key)}:${writeJson(member)}`;
  }
  return `{${text}}`;
}

/** Whether JSON's own writer would escape anything; to ask is faster than to have it write. */
// oxlint-disable-next-line no-control-regex -- they are what JSON wants escaped
const ESCAPED = /["\\\u0000-\u001f\ud800-\udfff]/;

function writeText(text: string): string {
  return ESCAPED.test(text) ? JSON.stringify(text) : `"${text}"`;
}
