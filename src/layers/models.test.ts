import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseModel, parseModels, readModels, type ModelSource } from './model-file.ts';
import { planModels, qualify } from './model-graph.ts';

const source = (name: string, sql: string, matter = ''): ModelSource => ({
  file: `models/${name}.sql`,
  text: `---\nname: ${name}\n${matter}---\n${sql}\n`,
});

const problems = (text: string): string[] => {
  const read = parseModel('models/a.sql', text);
  return read.kind === 'problems'
    ? read.problems.map(({ line, message }) => `${line}: ${message}`)
    : [];
};

describe('a model file', () => {
  it('has front matter and a query', () => {
    const [model] = parseModels([
      source('daily', 'SELECT 1;', 'materialization: incremental\nkeys: [day]\n'),
    ]);
    expect(model).toMatchObject({
      name: 'daily',
      materialization: 'incremental',
      keys: ['day'],
      sql: 'SELECT 1',
      tests: [],
    });
  });

  it('is named after its file, and may have empty front matter and CRLF', () => {
    const read = parseModel('models/a_1.sql', '---\r\n---\r\nSELECT 1\r\n');
    expect(read).toMatchObject({ kind: 'model', model: { name: 'a_1', materialization: 'table' } });
  });

  it.each([
    ['SELECT 1', '1: the file does not begin with front matter'],
    ['---\nname: A b\n---\nSELECT 1', '2: name: Write lower case'],
    ['---\ndescription: x\nmaterialization: tabel\n---\nSELECT 1', '3: materialization: '],
    ['---\nmaterialization: incremental\n---\nSELECT 1', ': An incremental model needs keys'],
    ['---\nname: a\nodd: 1\n---\nSELECT 1', 'odd'],
    ['---\nname: [a\n---\nSELECT 1', ': '],
    ['---\nname: a\n---\n\nSELECT 1;\nDROP TABLE b', '5: it holds more than one statement'],
    ['---\nname: a\n---\nSELECT (1', '4: a parenthesis is not closed'],
    ['---\nname: a\n---\n', ': it has no SQL'],
    [
      '---\nname: a\ntests:\n  - test: unique\n    columns: []\n---\nSELECT 1',
      '5: tests.0.columns',
    ],
  ])('%j is refused', (text, message) => {
    expect(problems(text)[0]).toContain(message);
  });

  it('tells everything that is wrong at once', () => {
    expect(() => parseModels([source('a', 'SELECT ('), source('b', '')])).toThrow(
      expect.objectContaining({
        code: 'model_invalid',
        message: expect.stringMatching(/^models\/a\.sql:4: /),
        why: expect.stringMatching(/^models\/b\.sql:/),
      }),
    );
  });

  it('shares its name with no other', () => {
    const twice = [source('a', 'SELECT 1'), { ...source('a', 'SELECT 2'), file: 'models/b.sql' }];
    expect(() => parseModels(twice)).toThrow('models/b.sql:1: a model called a is in models/a.sql');
  });
});

describe('a folder of models', () => {
  it('gives its SQL files by name, and none where there is no folder', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'forebay-models-'));
    try {
      writeFileSync(join(folder, 'b.sql'), '---\n---\nSELECT 1');
      writeFileSync(join(folder, 'a.sql'), '---\n---\nSELECT 2');
      writeFileSync(join(folder, 'notes.txt'), 'no model');
      expect((await readModels(folder)).map(({ name }) => name)).toEqual(['a', 'b']);
      expect(await readModels(join(folder, 'none'))).toEqual([]);
      writeFileSync(join(folder, 'large.sql'), `---\n---\nSELECT '${'x'.repeat(1024 * 1024)}'`);
      await expect(readModels(folder)).rejects.toMatchObject({ code: 'model_invalid' });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe('the order of models', () => {
  const plan = (...sources: ModelSource[]) =>
    planModels(parseModels(sources), new Set(['orders', 'b']));

  it('is that of what they read', () => {
    const planned = plan(
      source('a', 'SELECT * FROM gold.c JOIN orders USING (id)'),
      source('b', 'SELECT * FROM b'),
      source('c', 'WITH orders AS (SELECT * FROM b) SELECT * FROM orders, bronze.x, elsewhere'),
    );
    expect(planned.map(({ model }) => model.name)).toEqual(['b', 'c', 'a']);
    expect(planned[0]).toMatchObject({
      silver: ['b'],
      dependsOn: [],
      sql: 'SELECT * FROM "silver"."b"\n',
    });
    expect(planned[1]).toMatchObject({
      dependsOn: ['b'],
      silver: [],
      others: ['bronze.x', 'elsewhere'],
    });
    expect(planned[2]).toMatchObject({ dependsOn: ['c'], silver: ['orders'] });
  });

  it('names a circle', () => {
    const circle = () =>
      plan(source('x', 'TABLE y'), source('y', 'SELECT * FROM z'), source('z', 'SELECT * FROM x'));
    expect(circle).toThrow('models depend on each other in a circle: x -> y -> z -> x');
    expect(() => plan(source('x', 'SELECT * FROM gold.x'))).toThrow('x -> x');
  });

  it('writes names in full and leaves everything else as it is', () => {
    const known = { models: new Set(['m']), silver: new Set(['orders']) };
    const { sql } = qualify(`SELECT m.a, 'from orders' FROM m, "orders" o -- m\n`, known, null);
    expect(sql).toBe(`SELECT m.a, 'from orders' FROM "gold"."m", "silver"."orders" o -- m\n`);
  });
});
