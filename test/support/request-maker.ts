// Requests out of the schemas of the routes: as they should be, at their edges, and hostile.
import { z } from 'zod';
import type { Route } from '../../src/api/route.ts';
import { seededRandom } from './random.ts';

export interface MadeRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly payload: string | undefined;
}

type Mood = 'valid' | 'edge' | 'hostile';
type Schema = Readonly<Record<string, unknown>>;

const HOSTILE_TEXTS = [
  '',
  ' ',
  '\0',
  'a\0b',
  '\ud800',
  '__proto__',
  'constructor',
  "'; drop table users; --",
  '" or 1=1 --',
  '../../../../etc/passwd',
  '%00',
  '%2e%2e%2f',
  '${env:HOME}',
  '<script>alert(1)</script>',
  '\u202edrowssap',
  '👩‍👩‍👧‍👦',
  'NaN',
  '-1',
  '1e999',
  '9'.repeat(400),
  'x'.repeat(5000),
  '\r\nx-injected: 1',
  '2026-02-30',
  '0000-01-01',
  '9999-12-31',
  '00000000-0000-0000-0000-000000000000',
] as const;

const HOSTILE_VALUES: readonly unknown[] = [
  null,
  true,
  0,
  -0,
  -1,
  0.1,
  2 ** 53,
  1e308,
  -1e308,
  [],
  {},
  [[]],
  { toString: 1 },
  { $gt: '' },
];

export interface RequestMaker {
  next(): MadeRequest;
}

export interface RequestMakerOptions {
  readonly seed: number;
  readonly routes: readonly Route[];
  /** Of things that are there, by their noun in the path. */
  readonly ids: Readonly<Record<string, readonly string[]>>;
  readonly tokens: readonly string[];
}

export function requestMaker({ seed, routes, ids, tokens }: RequestMakerOptions): RequestMaker {
  const random = seededRandom(seed);
  const { below, pick } = random;
  const all = Object.values(ids).flat();
  const chance = (of: number): boolean => random.chance(of * 100);
  const whole = (least: number, most: number): number => least + below(most - least + 1);

  function text(schema: Schema, mood: Mood): string {
    if (mood === 'hostile') return pick(HOSTILE_TEXTS);
    const least = Number(schema['minLength'] ?? 0);
    const most = Number(schema['maxLength'] ?? 40);
    if (mood === 'edge') return 'x'.repeat(chance(0.5) ? least : Math.min(most, 70_000));
    switch (schema['format']) {
      case 'uuid':
        return pick(all);
      case 'date':
        return `2026-0${whole(1, 9)}-1${whole(0, 9)}`;
      case 'date-time':
        return `20${whole(10, 90)}-01-01T00:00:00Z`;
      case 'email':
        return `a${whole(0, 1e9)}@example.com`;
      case 'uri':
        return 'https://example.com/a';
      default:
        return `x${whole(0, 1e9)}`.padEnd(least, 'x').slice(0, most);
    }
  }

  function number(schema: Schema, mood: Mood): unknown {
    if (mood === 'hostile') return pick([...HOSTILE_VALUES, '7', '']);
    const least = Number(schema['minimum'] ?? schema['exclusiveMinimum'] ?? 0);
    const most = Number(schema['maximum'] ?? 1000);
    if (mood === 'edge') return pick([least, most, least - 1, most + 1, least + 0.5]);
    return whole(Math.ceil(least), Math.min(most, least + 1000));
  }

  function object(schema: Schema, root: Schema, mood: Mood): unknown {
    const properties = (schema['properties'] ?? {}) as Record<string, Schema>;
    const required = new Set((schema['required'] ?? []) as string[]);
    const entries = Object.entries(properties)
      .filter(([name]) => (required.has(name) ? mood !== 'hostile' || chance(0.9) : chance(0.4)))
      .map(([name, property]) => [name, value(property, root, moodInside(mood))] as const);
    const open = schema['additionalProperties'];
    const more =
      typeof open === 'object' && open !== null && chance(0.5)
        ? [[text({}, moodInside(mood)), value(open as Schema, root, moodInside(mood))] as const]
        : [];
    const unknown = mood === 'hostile' && chance(0.2) ? [[pick(HOSTILE_TEXTS), 1] as const] : [];
    // Not an object literal: `__proto__` must become a name.
    return new Map([...entries, ...more, ...unknown]);
  }

  /** Most parts of a hostile request are as they should be, so that it gets further in. */
  function moodInside(mood: Mood): Mood {
    return mood === 'valid' || chance(0.75) ? 'valid' : mood;
  }

  function value(given: Schema, root: Schema, mood: Mood): unknown {
    if (mood === 'hostile' && chance(0.3)) return pick(HOSTILE_VALUES);
    const reference = given['$ref'];
    const definitions = (root['$defs'] ?? {}) as Record<string, Schema>;
    const schema =
      typeof reference === 'string'
        ? (definitions[reference.split('/').at(-1) ?? ''] ?? {})
        : given;
    if ('const' in schema) return schema['const'];
    if (Array.isArray(schema['enum'])) return pick(schema['enum']);
    for (const key of ['anyOf', 'oneOf', 'allOf']) {
      const forms = schema[key];
      if (Array.isArray(forms) && schema['properties'] === undefined)
        return value(pick(forms as Schema[]), root, mood);
    }
    switch (schema['type']) {
      case 'string':
        return text(schema, mood);
      case 'integer':
      case 'number':
        return number(schema, mood);
      case 'boolean':
        return chance(0.5);
      case 'null':
        return null;
      case 'array': {
        const length = mood === 'edge' ? pick([0, 1, 50]) : whole(0, 3);
        const items = (schema['items'] ?? {}) as Schema;
        return Array.from({ length }, () => value(items, root, moodInside(mood)));
      }
      case 'object':
        return object(schema, root, mood);
      default:
        return pick(HOSTILE_VALUES);
    }
  }

  const schemas = new Map<z.ZodType, Schema>();
  function schemaOf(schema: z.ZodType): Schema {
    const known =
      schemas.get(schema) ?? z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
    schemas.set(schema, known);
    return known;
  }

  function encoded(textValue: unknown): string {
    const plain = typeof textValue === 'string' ? textValue : JSON.stringify(textValue);
    return encodeURIComponent(plain.toWellFormed());
  }

  function urlOf(route: Route, mood: Mood): string {
    const noun = /\/([a-z-]+)\/\{id\}/.exec(route.path)?.[1] ?? '';
    const path = route.path.replace('{id}', () =>
      moodInside(mood) === 'valid'
        ? pick(chance(0.9) ? (ids[noun] ?? all) : all)
        : encoded(pick(HOSTILE_TEXTS)),
    );
    if (route.query === undefined && mood === 'valid') return path;
    const schema = schemaOf(route.query ?? z.strictObject({}));
    const query = object(schema, schema, mood) as Map<string, unknown>;
    const parts = [...query].map(([name, part]) => `${encoded(name)}=${encoded(part)}`);
    return parts.length === 0 ? path : `${path}?${parts.join('&')}`;
  }

  function bodyOf(route: Route, mood: Mood): string | undefined {
    if (mood === 'hostile' && chance(0.1)) {
      return pick([
        '',
        '{',
        'null',
        '[]',
        '"\\ud800"',
        '{"__proto__":{}}',
        '['.repeat(5000),
        '1e999',
      ]);
    }
    if (route.body === undefined) return undefined;
    const mood2 = mood === 'valid' ? mood : moodInside(mood);
    if (route.example !== undefined && mood === 'valid' && chance(0.3)) {
      return JSON.stringify(route.example);
    }
    const schema = schemaOf(route.body);
    return JSON.stringify(value(schema, schema, mood2 === 'valid' ? mood : mood2), (_key, part) =>
      part instanceof Map ? Object.fromEntries(part) : part,
    );
  }

  function headersOf(mood: Mood): Record<string, string> {
    const odd = mood === 'hostile';
    return {
      authorization:
        odd && chance(0.1) ? pick(['Bearer x', 'Basic x', '']) : `Bearer ${pick(tokens)}`,
      'content-type':
        odd && chance(0.3)
          ? pick([
              'text/plain',
              'application/json\t',
              ' application/json',
              'application/json;;',
              '/',
            ])
          : 'application/json',
      ...(chance(0.7)
        ? { 'if-match': odd ? pick(['"1"', 'W/"1"', '1', '*', '""', ',']) : '*' }
        : {}),
      ...(chance(0.2)
        ? { 'idempotency-key': odd ? pick(['', 'k', 'x'.repeat(300)]) : `k${below(1e9)}` }
        : {}),
    };
  }

  return {
    next: () => {
      const route = pick(routes);
      const mood = pick(['valid', 'valid', 'edge', 'hostile', 'hostile'] as const);
      const method =
        mood === 'hostile' && chance(0.05)
          ? pick(['PUT', 'DELETE', 'OPTIONS', 'HEAD'])
          : route.method;
      const payload = method === 'GET' || method === 'HEAD' ? undefined : bodyOf(route, mood);
      return { method, url: urlOf(route, mood), headers: headersOf(mood), payload };
    },
  };
}
