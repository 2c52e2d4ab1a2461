import { globSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { protoFiles } from '../../../tools/proto-files.ts';
import { numbersFor, readKnown } from '../../../tools/proto-numbers.ts';
import { readRoute, type Route } from '../route.ts';
import { ROUTES } from '../routes/index.ts';

function routesWith(fields: Record<string, z.ZodType>): Route[] {
  return [
    readRoute({
      path: '/things/{id}',
      operation: 'getThing',
      summary: 'One thing.',
      tag: 'Things',
      permission: 'read',
      params: z.strictObject({ id: z.string() }),
      replies: { 200: z.object(fields).meta({ id: 'Thing' }) },
      handle: () => Promise.reject(new Error('not asked')),
    }),
  ];
}

const made = (fields: Record<string, z.ZodType>, before: readonly string[] = []): string => {
  const [text = ''] = protoFiles(routesWith(fields), before).values();
  return text;
};

describe('the numbers of fields', () => {
  const [a, b, c] = [z.string(), z.int(), z.boolean()];

  it('stay when fields come before them', () => {
    const again = made({ c, b, a }, [made({ a, b })]);
    expect(again).toContain('string a = 1;');
    expect(again).toContain('int64 b = 2;');
    expect(again).toContain('bool c = 3;');
  });

  it('are never given again when their field is gone', () => {
    const without = made({ a }, [made({ a, b })]);
    expect(without).toContain('reserved 2;');
    expect(without).toContain('reserved "b";');
    const later = made({ a, c }, [without]);
    expect(later).toContain('reserved 2;');
    expect(later).toContain('bool c = 3;');
    expect(made({ a, c }, [later])).toBe(later);
  });

  it('are not kept under another type', () => {
    const before = [made({ a, b })];
    expect(() => made({ a, b: z.string() }, before)).toThrow(
      /Thing\.b was int64 and would be string/,
    );
    expect(() => made({ a, b: z.array(z.int()) }, before)).toThrow(/would be repeated int64/);
  });

  it('are kept when a field may be null from now on', () => {
    const before = [made({ a, b })];
    expect(made({ a, b: z.int().nullable() }, before)).toContain('optional int64 b = 2;');
  });

  it('are refused to a name that was given up', () => {
    expect(() => made({ a, b }, [made({ a }, [made({ a, b })])])).toThrow(/Thing\.b is reserved/);
  });

  it('are found where the message has moved to another file', () => {
    const moved = made({ a, b }).replace('service ThingsService', 'service OthersService');
    const known = readKnown(['syntax = "proto3"; package forebay.v1; message Other {}', moved]);
    const wanted = [{ name: 'b', type: 'int64', repeated: false }];
    expect(numbersFor('Thing', wanted, known.get('Thing')).numbers).toEqual(new Map([['b', 2]]));
  });

  it("pass over the range that is Protobuf's own", () => {
    const text = 'syntax = "proto3"; package p; message M { string a = 18999; reserved 3 to 5; }';
    const known = readKnown([text]).get('M');
    expect(known?.reservedNumbers).toEqual([3, 4, 5]);
    const wanted = [{ name: 'b', type: 'string', repeated: false }];
    expect(numbersFor('M', wanted, known).numbers).toEqual(new Map([['b', 20_000]]));
  });
});

describe('the files', () => {
  it('are those that are published, and come out the same again', () => {
    const published = new Map(
      globSync('proto/forebay/**/*.proto').map((path) => [
        path.replaceAll('\\', '/').replace('proto/', ''),
        readFileSync(path, 'utf8'),
      ]),
    );
    expect(protoFiles(ROUTES, published.values())).toEqual(published);
  });

  it('refuse two messages of one name that are not the same', () => {
    const [one] = routesWith({ a: z.string() });
    const [two] = routesWith({ a: z.int() });
    const routes = [one, two].flatMap((route) => (route === undefined ? [] : [route]));
    expect(() => protoFiles(routes, [])).toThrow(/two messages Thing/);
  });

  it('refuse two fields of one name in a request', () => {
    const route = readRoute({
      path: '/things/{id}',
      operation: 'getThing',
      summary: 'One thing.',
      tag: 'Things',
      permission: 'read',
      params: z.strictObject({ id: z.string() }),
      query: z.strictObject({ id: z.string() }),
      replies: { 200: z.object({}) },
      handle: () => Promise.reject(new Error('not asked')),
    });
    expect(() => protoFiles([route], [])).toThrow(/two fields of one name/);
  });
});
