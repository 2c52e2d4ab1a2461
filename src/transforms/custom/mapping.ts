import { castValue, parseCastType } from '../expression/cast.ts';
import type { Compiled, Scope } from '../expression/compiled.ts';
import { TransformFailure, within } from '../expression/failure.ts';
import { toJson } from '../expression/value.ts';
import { JsonNumber, type JsonObject, type JsonValue } from '../json/value.ts';
import { changeAt, type ColumnPath, putAt, takeAt } from './column-path.ts';
import type { Report } from './problem.ts';
import type { StepSpecification } from './specification.ts';

type Mapping = NonNullable<StepSpecification['mapping']>;
/** Changes the document in its place; throws `TransformFailure`. */
export type Edit = (root: JsonObject, scope: Scope) => void;

export function compileMapping(mapping: Mapping, report: Report): readonly Edit[] {
  return [
    ...compileRename(mapping.rename ?? {}, report.at('rename')),
    ...(mapping.drop ?? []).map((column, index) => {
      const path = report.at('drop', index).path(column);
      return (root: JsonObject) => changeAt(root, path, () => undefined);
    }),
    ...Object.entries(mapping.cast ?? {}).map(([column, type]) =>
      compileCast(column, type, report.at('cast', column)),
    ),
    ...compileSet(mapping.set ?? {}, report.at('set')),
  ];
}

/** All at once, so that columns can change places. */
function compileRename(rename: Readonly<Record<string, string>>, report: Report): Edit[] {
  const moves = Object.entries(rename).map(([from, to]) => ({
    from: report.at(from).plainPath(from),
    to: report.at(from).plainPath(to),
    name: to,
  }));
  for (const { name } of moves.filter(
    (move, index) => moves.findIndex((other) => other.name === move.name) < index,
  )) {
    report.problem(`two columns are renamed to ${name}`);
  }
  if (moves.length === 0) return [];
  if (moves.every(({ from, to }) => from.length === 1 && to.length === 1)) {
    return [renameColumns(moves)];
  }
  return [
    (root) => {
      const taken = moves.map((move) => ({ ...move, value: takeAt(root, move.from) }));
      for (const { to, value, name } of taken)
        if (value !== undefined) place(root, to, { value, name });
    },
  ];
}

interface Move {
  readonly from: ColumnPath;
  readonly to: ColumnPath;
}

/** Columns at the top keep their places. */
function renameColumns(moves: readonly Move[]): Edit {
  const names = new Map(moves.map(({ from, to }) => [keyOf(from), keyOf(to)]));
  return (root) => {
    const members = [...root];
    root.clear();
    for (const [key, value] of members) {
      const name = names.get(key) ?? key;
      if (root.has(name)) throw collision(name);
      root.set(name, value);
    }
  };
}

function keyOf(path: ColumnPath): string {
  const [step] = path;
  return step?.kind === 'key' ? step.key : '';
}

function place(
  root: JsonObject,
  path: ColumnPath,
  { value, name }: { value: JsonValue; name: string },
): void {
  let there = false;
  changeAt(root, path, (before) => {
    there = true;
    return before;
  });
  if (there || !putAt(root, path, value)) throw collision(name);
}

function collision(name: string): TransformFailure {
  return new TransformFailure('transform_mapping', `the place of column ${name} is taken`);
}

function compileCast(column: string, text: string, report: Report): Edit {
  const path = report.path(column);
  const type = parseCastType(text);
  if (type === null) {
    report.problem(`no type is called ${JSON.stringify(text)}`);
    return () => {};
  }
  const subject = `column ${column}`;
  return (root) => changeAt(root, path, (value) => toJson(castValue(value, type, subject)));
}

/** Every expression sees the document as it was before the first is set. */
function compileSet(set: NonNullable<Mapping['set']>, report: Report): Edit[] {
  const columns = Object.entries(set).map(([column, value]) => ({
    column,
    path: report.at(column).placePath(column),
    compiled: compileConstant(value, report.at(column)),
  }));
  if (columns.length === 0) return [];
  return [
    (root, scope) => {
      const values = columns.map(({ column, compiled }) =>
        within(`set ${column}`, () => toJson(compiled.run(scope))),
      );
      for (const [index, { column, path }] of columns.entries()) {
        // One value may go to several places; no two may share an object.
        if (putAt(root, path, structureOf(values[index] ?? null))) continue;
        throw new TransformFailure(
          'transform_mapping',
          `set ${column}: something else is in the way`,
        );
      }
    },
  ];
}

function compileConstant(value: string | number | boolean | null, report: Report): Compiled {
  if (typeof value === 'string') return report.expression(value);
  if (typeof value !== 'number') return { type: 'any', run: () => value };
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
    report.problem('a number this large is written in quotes, or it loses digits');
  }
  const constant = new JsonNumber(String(value));
  return { type: 'number', run: () => constant };
}

function structureOf(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(structureOf);
  if (value instanceof Map)
    return new Map([...value].map(([key, member]) => [key, structureOf(member)]));
  return value;
}
