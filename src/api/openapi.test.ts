import { describe, expect, it } from 'vitest';
import { DOCS_POLICY, docsPage } from './docs-page.ts';
import { openApiDocument } from './openapi.ts';
import { ROUTES } from './routes/index.ts';

const document = openApiDocument(ROUTES);
const text = JSON.stringify(document);

function references(part: unknown): string[] {
  if (Array.isArray(part)) return part.flatMap(references);
  if (typeof part !== 'object' || part === null) return [];
  return Object.entries(part).flatMap(([key, value]) =>
    key === '$ref' ? [String(value)] : references(value),
  );
}

describe('the description of the API', () => {
  it('has every route once, under an operation id of its own', () => {
    const operations = Object.values(document['paths'] as object).flatMap(Object.values);
    expect(operations).toHaveLength(ROUTES.length);
    expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(ROUTES.length);
  });

  it('has no reference that leads nowhere', () => {
    const { schemas } = document['components'] as { schemas: Record<string, unknown> };
    const wanted = new Set(references(document));
    expect(wanted.size).toBeGreaterThan(10);
    const known = new Set(Object.keys(schemas).map((name) => `#/components/schemas/${name}`));
    expect([...wanted].filter((reference) => !known.has(reference))).toEqual([]);
  });

  it('has examples that the API takes', () => {
    for (const { operation, body, example } of ROUTES) {
      if (body === undefined || example === undefined) continue;
      expect(body.safeParse(example).error?.issues, operation).toBeUndefined();
    }
  });

  it('has an example of every body that is required', () => {
    const lacking = ROUTES.filter(
      ({ body, example }) =>
        body !== undefined && example === undefined && !body.safeParse(undefined).success,
    );
    expect(lacking.map(({ operation }) => operation)).toEqual([]);
  });

  it('says that secrets are written only', () => {
    expect(text).toContain('"writeOnly":true');
    expect(text).not.toContain('x-io');
  });

  it('declares parameters for every name in a path', () => {
    for (const { path, params, operation } of ROUTES) {
      expect(path.includes('{id}'), operation).toBe(params !== undefined);
    }
  });
});

describe('the page for people', () => {
  const page = docsPage(ROUTES);

  it('names every route and loads nothing', () => {
    for (const { operation } of ROUTES) expect(page).toContain(`id="${operation}"`);
    expect(page).not.toMatch(/<script|<link|<img|src=|url\(|\son\w+=/i);
    expect(DOCS_POLICY).toContain("default-src 'none'");
  });
});
