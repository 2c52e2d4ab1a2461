/** OpenAPI 3.1 of the routes. Pure: made from their schemas alone. */
import { z } from 'zod';
import { ERROR_TABLE, type ErrorCode } from '../core/errors.ts';
import { PROBLEM_TYPE, problemSchema } from './problem.ts';
import type { Route } from './route.ts';

type Json = Record<string, unknown>;

const USUAL: readonly ErrorCode[] = ['request_invalid', 'too_many_requests', 'internal'];
const OF_CALLER: readonly ErrorCode[] = ['unauthenticated', 'forbidden'];
const OF_BODY: readonly ErrorCode[] = ['body_too_large', 'media_type'];
const OF_VERSION: readonly ErrorCode[] = ['version_missing', 'version_stale'];

/** The usual ones. What another system refuses is never answered as 401, 403 or 404, nor its absence as a 5xx. */
const OF_UPSTREAM: readonly (readonly [number, readonly ErrorCode[]])[] = [
  [422, ['authentication_failed']],
  [424, ['unreachable', 'timeout']],
];

/** Schemas that have an id, each once; of one that is read and written otherwise, both. */
class Components {
  readonly schemas: Record<string, Json> = {};

  add(schema: z.ZodType, io: 'input' | 'output'): Json {
    const { $schema: _, $defs, ...own } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
    const names = new Map<string, string>();
    const definitions = Object.entries(($defs ?? {}) as Record<string, Json>);
    for (const [id, definition] of definitions) names.set(id, this.#nameFor(id, definition, io));
    for (const [id, definition] of definitions) {
      this.schemas[names.get(id) ?? id] = renamed(definition, names) as Json;
    }
    const id = own['id'];
    if (typeof id !== 'string') return renamed(own, names) as Json;
    const name = this.#nameFor(id, own, io);
    this.schemas[name] = renamed(own, names) as Json;
    return { $ref: `#/components/schemas/${name}` };
  }

  #nameFor(id: string, definition: Json, io: 'input' | 'output'): string {
    const known = this.schemas[id];
    if (known === undefined || known['x-io'] === io) {
      definition['x-io'] = io;
      return id;
    }
    const text = (part: Json): string => JSON.stringify({ ...part, 'x-io': null });
    return text(known) === text(definition) ? id : `${id}${io === 'input' ? 'Input' : 'Output'}`;
  }

  finish(): Record<string, Json> {
    const sorted = Object.entries(this.schemas).toSorted(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(sorted.map(([name, schema]) => [name, published(schema)]));
  }
}

function published(schema: Json): Json {
  const { 'x-io': _, id: __, ...rest } = schema;
  return rest;
}

/** A format says what its pattern spells out. */
function withoutSpelling(part: object): object {
  const { pattern, ...rest } = part as { pattern?: unknown };
  const hasFormat = 'format' in rest && typeof rest.format === 'string';
  return hasFormat && typeof pattern === 'string' ? rest : part;
}

/** References into `components`; the ids are told by the names there. */
function renamed(part: unknown, names: ReadonlyMap<string, string>): unknown {
  if (Array.isArray(part)) return part.map((item) => renamed(item, names));
  if (typeof part !== 'object' || part === null) return part;
  return Object.fromEntries(
    Object.entries(withoutSpelling(part)).map(([key, value]) => {
      if (key !== '$ref' || typeof value !== 'string') return [key, renamed(value, names)];
      const id = value.slice('#/$defs/'.length);
      return [key, `#/components/schemas/${names.get(id) ?? id}`];
    }),
  );
}

function parametersOf(route: Route, components: Components): Json[] {
  const part = (schema: z.ZodType | undefined, where: 'path' | 'query'): Json[] => {
    if (schema === undefined) return [];
    const { properties = {}, required = [] } = components.add(schema, 'input') as {
      properties?: Record<string, Json>;
      required?: string[];
    };
    return Object.entries(properties).map(([name, { description, ...property }]) => ({
      name,
      in: where,
      required: where === 'path' || required.includes(name),
      ...(description === undefined ? {} : { description }),
      schema: property,
    }));
  };
  return [...part(route.params, 'path'), ...part(route.query, 'query'), ...headersOf(route)];
}

const HEADERS = {
  'Last-Event-ID': {
    description: 'Id of the last event that was seen; the feed goes on after it.',
    required: false,
    pattern: '^[0-9]{1,15}$',
  },
  'Idempotency-Key': {
    description: 'The same key brings back the first answer for a day.',
    required: false,
    pattern: '^[!-~]{1,255}$',
  },
  'If-Match': {
    description: 'ETag of the version that is changed, or `*`.',
    required: true,
    pattern: '^([*]|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*)$',
  },
} as const;

function header(name: keyof typeof HEADERS): Json {
  const { description, required, pattern } = HEADERS[name];
  return { name, in: 'header', required, description, schema: { type: 'string', pattern } };
}

function headersOf(route: Route): Json[] {
  if (route.kind === 'read') {
    return route.feed === undefined ? [] : [header('Last-Event-ID')];
  }
  if (route.kind !== 'change') return [];
  return [
    ...(route.method === 'POST' ? [header('Idempotency-Key')] : []),
    ...(route.conditional === true ? [header('If-Match')] : []),
  ];
}

/** All codes that the route may answer, by status. */
export function failuresOf(route: Route): Map<number, ErrorCode[]> {
  const codes = [
    ...USUAL,
    ...(route.kind === 'open' ? [] : OF_CALLER),
    ...(route.body === undefined ? [] : OF_BODY),
    ...(route.kind === 'change' && route.conditional === true ? OF_VERSION : []),
    ...(route.kind === 'change' && route.method === 'POST'
      ? (['idempotency_mismatch'] as const)
      : []),
    ...(route.params === undefined ? [] : (['not_found'] as const)),
    ...(route.failures ?? []),
  ];
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of new Set(codes)) {
    const { http } = ERROR_TABLE[code];
    byStatus.set(http, [...(byStatus.get(http) ?? []), code]);
  }
  if (route.upstream === true) {
    for (const [status, upstream] of OF_UPSTREAM) {
      byStatus.set(status, [...(byStatus.get(status) ?? []), ...upstream]);
    }
  }
  return byStatus;
}

function responsesOf(route: Route, components: Components): Json {
  const responses: Json = {};
  for (const [status, reply] of Object.entries(route.replies)) {
    responses[status] = {
      description: route.summary,
      ...(reply === null ? {} : { content: contentOf(route, reply, components) }),
    };
  }
  for (const [status, codes] of failuresOf(route)) {
    responses[status] = {
      description: codes.map((code) => `\`${code}\``).join(', '),
      content: { [PROBLEM_TYPE]: { schema: components.add(problemSchema, 'output') } },
    };
  }
  return responses;
}

function contentOf(route: Route, reply: z.ZodType | string, components: Components): Json {
  if (typeof reply === 'string')
    return { [reply]: { schema: { type: reply === 'application/json' ? 'object' : 'string' } } };
  const live = route.kind === 'read' && route.feed !== undefined;
  return {
    'application/json': { schema: components.add(reply, 'output') },
    ...(live ? { 'text/event-stream': { schema: { type: 'string' } } } : {}),
  };
}

function operationOf(route: Route, components: Components): Json {
  const parameters = parametersOf(route, components);
  return {
    operationId: route.operation,
    summary: route.summary,
    tags: [route.tag],
    'x-permission': route.permission,
    security: route.kind === 'open' ? [] : [{ token: [] }],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(route.body === undefined
      ? {}
      : {
          requestBody: {
            required: !route.body.safeParse(undefined).success,
            content: {
              'application/json': {
                schema: components.add(route.body, 'input'),
                ...(route.example === undefined ? {} : { example: route.example }),
              },
            },
          },
        }),
    responses: responsesOf(route, components),
  };
}

export function openApiDocument(routes: readonly Route[]): Json {
  const components = new Components();
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    const operations = (paths[route.path] ??= {});
    operations[route.method.toLowerCase()] = operationOf(route, components);
  }
  return {
    openapi: '3.1.1',
    jsonSchemaDialect: 'https://json-schema.org/draft/2020-12/schema',
    info: {
      title: 'Forebay',
      version: '1',
      description: 'Connections, pipelines, schedules and executions of a Forebay server.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    tags: [...new Set(routes.map(({ tag }) => tag))].map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'An API token, `fb_...`.' },
      },
      schemas: components.finish(),
    },
  };
}
