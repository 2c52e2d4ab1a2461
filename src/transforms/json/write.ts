import { JsonNumber, type JsonValue } from './value.ts';

/** The shortest text of a value, keys in their order, numbers as they were read. */
export function writeJson(value: JsonValue): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (value === null || typeof value === 'boolean') return String(value);
  if (value instanceof JsonNumber) return value.lexeme;
  let text = '';
  if (Array.isArray(value)) {
    for (const element of value) text += `${text === '' ? '' : ','}${writeJson(element)}`;
    return `[${text}]`;
  }
  for (const [key, member] of value) {
    text += `${text === '' ? '' : ','}${JSON.stringify(key)}:${writeJson(member)}`;
  }
  return `{${text}}`;
}
