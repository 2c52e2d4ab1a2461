/** The operations that only the extended dialect has. */
import type { ConverterConfig } from './converters.ts';
import { KazaamFailure, missingPath } from './failure.ts';
import { isObject, quoted } from './go-values.ts';
import { shift } from './moves.ts';
import {
  type Apply,
  asObject,
  type CompileOperation,
  failing,
  type Setting,
  type Source,
} from './operation.ts';
import { elementsAt, slices } from './text.ts';

const fail = (message: string) => failing(() => new KazaamFailure('spec', message));

/** Shifts one after the other, each reading what the one before has made. */
export const inSteps: CompileOperation = (setting) => {
  const { steps: list } = setting.entries;
  if (!Array.isArray(list)) return fail('Unable to get steps');
  const shifts = list.map((one: unknown) =>
    shift({ ...setting, entries: asObject(one, 'a step') }),
  );
  return (text) => shifts.reduce((out, one) => one(out), text);
};

interface Column {
  readonly name: string;
  readonly list: Source;
}

function columnOf(entry: unknown, { source }: Setting): Column {
  const { name, array } = asObject(entry, 'an array of a merge');
  if (typeof name !== 'string') {
    throw new KazaamFailure('spec', 'Array spec missing name for Merge');
  }
  if (typeof array !== 'string') {
    throw new KazaamFailure('spec', 'Array spec missing array for Merge');
  }
  return { name, list: source(array) };
}

function itemsOf(text: string, { name, list }: Column): readonly string[] {
  const json = list.get(text, true);
  if (json === null) throw missingPath();
  if (!json.startsWith('[')) {
    throw new KazaamFailure('parse', `Warn: the value for ${name} of a merge is no array`);
  }
  return slices(json, elementsAt(json, 0).spans);
}

function merged(text: string, columns: readonly Column[]): string {
  const lists = columns.map((column) => ({ column, items: itemsOf(text, column) }));
  const rows = lists[0]?.items ?? [];
  if (lists.some(({ items }) => items.length !== rows.length)) {
    throw new KazaamFailure('spec', 'Arrays must be the same length for Merge');
  }
  const objects = rows.map((_, at) => {
    const members = lists.map(({ column, items }) => `${quoted(column.name)}:${items[at] ?? ''}`);
    return `{${members.join(',')}}`;
  });
  return `[${objects.join(',')}]`;
}

/** Arrays of one length become an array of objects; inplace keeps the rest of the document. */
export const merge: CompileOperation = (setting) => {
  const { entries, inplace, place } = setting;
  const targets = Object.entries(entries).map(([target, columns]): ((from: string) => Apply) => {
    if (!Array.isArray(columns)) return () => fail('Invalid Spec for Merge');
    const read = columns.map((column: unknown) => columnOf(column, setting));
    const to = place(target);
    return (from) => (out) => to.set(out, merged(from, read));
  });
  return (text) => targets.reduce((out, target) => target(text)(out), inplace ? text : '{}');
};

/** What `converters` of an operation says, for it and for those after it. */
export function mergedConfig(before: ConverterConfig, config: unknown): ConverterConfig {
  return isObject(config) ? { ...before, ...config } : before;
}
