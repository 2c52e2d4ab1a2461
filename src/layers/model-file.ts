/** Models of gold: SQL files with YAML front matter between two lines of `---`. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import { ForebayError } from '../core/errors.ts';
import { sqlQueryFlaw } from './sql-statement.ts';

const MOST_BYTES = 1024 * 1024;

const columns = z.array(z.string().min(1)).min(1).max(32);
const testAction = {
  action: z.enum(['warn', 'fail']).default('fail'),
  name: z.string().optional(),
};

const modelTestSchema = z.discriminatedUnion('test', [
  z.strictObject({ test: z.literal('not_null'), columns, ...testAction }),
  z.strictObject({ test: z.literal('unique'), columns, ...testAction }),
  z.strictObject({
    test: z.literal('accepted_values'),
    column: z.string().min(1),
    values: z
      .array(z.union([z.string(), z.number(), z.boolean()]))
      .min(1)
      .max(1000),
    ...testAction,
  }),
  z
    .strictObject({
      test: z.literal('relationships'),
      columns,
      /** A model, or a silver table. */
      references: z.strictObject({ table: z.string().min(1), columns }),
      ...testAction,
    })
    .refine((test) => test.columns.length === test.references.columns.length, {
      error: 'Name as many columns on both sides',
    }),
  /** Rows that the query gives are failures. */
  z.strictObject({ test: z.literal('sql'), sql: z.string().min(1), ...testAction }),
]);

export type ModelTest = z.infer<typeof modelTestSchema>;

const frontMatterSchema = z
  .strictObject({
    /** The file's name without `.sql` where it is left out. */
    name: z
      .string()
      .regex(/^[a-z_][a-z0-9_]{0,62}$/, {
        error: 'Write lower case letters, digits and _, at most 63 of them',
      })
      .optional(),
    materialization: z.enum(['table', 'view', 'incremental']).default('table'),
    keys: columns.optional(),
    tests: z.array(modelTestSchema).max(100).default([]),
    description: z.string().default(''),
  })
  .refine((model) => model.materialization !== 'incremental' || model.keys !== undefined, {
    error: 'An incremental model needs keys',
    path: ['keys'],
  });

export interface Model extends z.infer<typeof frontMatterSchema> {
  readonly name: string;
  /** As it was given, for messages. */
  readonly file: string;
  readonly sql: string;
  /** Lines of the file before the SQL. */
  readonly sqlLine: number;
}

export interface ModelProblem {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly message: string;
}

export type ReadModel =
  | { readonly kind: 'model'; readonly model: Model }
  | { readonly kind: 'problems'; readonly problems: readonly ModelProblem[] };

function lineOf(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length;
}

interface Parts {
  readonly matter: string;
  readonly sql: string;
  readonly sqlLine: number;
}

function split(text: string): Parts | null {
  const found = /^---[ \t]*\r?\n([\s\S]*?)(?:^|\r?\n)---[ \t]*(?:\r?\n|$)/m.exec(text);
  if (found === null || found.index !== 0) return null;
  return {
    matter: found[1] ?? '',
    sql: text.slice(found[0].length),
    sqlLine: lineOf(text, found[0].length) - 1,
  };
}

/** The front matter with the place of each value, or what is wrong with it. */
function readMatter(
  matter: string,
  at: (line: number, message: string) => ModelProblem,
): z.infer<typeof frontMatterSchema> | readonly ModelProblem[] {
  const lines = new LineCounter();
  const document = parseDocument(matter, {
    schema: 'core',
    lineCounter: lines,
    prettyErrors: false,
  });
  // The front matter begins in line 2.
  const place = (offset: number): number => lines.linePos(offset).line + 1;
  if (document.errors.length > 0) {
    return document.errors.map((error) => at(place(error.pos[0]), error.message));
  }
  // Aliases would let a small file stand for a large one.
  const value: unknown = document.toJS({ maxAliasCount: 10 }) ?? {};
  const parsed = frontMatterSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  return parsed.error.issues.map((issue) => {
    const node = document.getIn(
      issue.path.filter((part) => typeof part !== 'symbol'),
      true,
    );
    const hasRange = typeof node === 'object' && node !== null && 'range' in node;
    const range = hasRange && Array.isArray(node.range) ? node.range : [];
    const offset: unknown = range[0];
    const name = issue.path.length === 0 ? '' : `${issue.path.join('.')}: `;
    return at(typeof offset === 'number' ? place(offset) : 1, `${name}${issue.message}`);
  });
}

function sqlProblem(parts: Parts): { readonly line: number; readonly message: string } | null {
  const flaw = sqlQueryFlaw(withoutEnd(parts.sql));
  if (flaw === null) return null;
  return { line: parts.sqlLine + lineOf(parts.sql, flaw.at), message: flaw.message };
}

/** Without a semicolon at the end. */
function withoutEnd(sql: string): string {
  return sql.replace(/;\s*$/, '');
}

export function parseModel(file: string, text: string): ReadModel {
  const at = (line: number, message: string): ModelProblem => ({ file, line, message });
  const parts = split(text.replace(/^\uFEFF/, ''));
  if (parts === null) {
    const message = 'the file does not begin with front matter between two lines of ---';
    return { kind: 'problems', problems: [at(1, message)] };
  }
  const matter = readMatter(parts.matter, at);
  const flaw = sqlProblem(parts);
  const flaws = flaw === null ? [] : [at(flaw.line, flaw.message)];
  if (Array.isArray(matter)) return { kind: 'problems', problems: [...matter, ...flaws] };
  // Array.isArray does not tell readonly arrays apart from what is left.
  const front = matter as z.infer<typeof frontMatterSchema>;
  const name = front.name ?? basename(file).replace(/\.sql$/, '');
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(name)) {
    flaws.push(at(1, `${name} can be no name of a table: give the model a name`));
  }
  if (flaws.length > 0) return { kind: 'problems', problems: flaws };
  const sql = withoutEnd(parts.sql);
  return { kind: 'model', model: { ...front, name, file, sql, sqlLine: parts.sqlLine } };
}

/** One failure for all that is wrong. */
export function modelFailure(problems: readonly ModelProblem[]): ForebayError {
  const lines = problems.map(({ file, line, message }) => `${file}:${line}: ${message}`);
  return new ForebayError('model_invalid', {
    message: lines[0] ?? 'a model is invalid',
    ...(lines.length > 1 ? { why: lines.slice(1).join('\n') } : {}),
  });
}

export interface ModelSource {
  readonly file: string;
  readonly text: string;
}

/** Throws `model_invalid`, with file and line of everything that is wrong. */
export function parseModels(sources: readonly ModelSource[]): readonly Model[] {
  const problems: ModelProblem[] = [];
  const models = new Map<string, Model>();
  for (const { file, text } of sources) {
    const read = parseModel(file, text);
    if (read.kind === 'problems') {
      problems.push(...read.problems);
      continue;
    }
    const other = models.get(read.model.name);
    if (other === undefined) models.set(read.model.name, read.model);
    else {
      const message = `a model called ${read.model.name} is in ${other.file} already`;
      problems.push({ file, line: 1, message });
    }
  }
  if (problems.length > 0) throw modelFailure(problems);
  return [...models.values()];
}

/** All `*.sql` files of a folder; none where there is no folder. Throws `model_invalid`. */
export async function readModels(folder: string): Promise<readonly Model[]> {
  const entries = await readdir(folder).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  });
  const sources: ModelSource[] = [];
  for (const name of entries.filter((entry) => entry.endsWith('.sql')).toSorted()) {
    const path = join(folder, name);
    const file = join(basename(folder), name);
    if ((await stat(path)).size > MOST_BYTES) {
      throw modelFailure([{ file, line: 1, message: 'the file is larger than 1 MiB' }]);
    }
    sources.push({ file, text: await readFile(path, 'utf8') });
  }
  return parseModels(sources);
}
