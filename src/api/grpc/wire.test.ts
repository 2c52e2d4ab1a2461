import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { publishedMethods } from '../../../test/support/grpc-client.ts';
import { ROUTES } from '../routes/index.ts';
import { rpcsOf } from './contract.ts';
import { jsonSchemaOf, type Message, Shapes } from './shape.ts';
import { fromFields, fromValue, toMessage, toValue } from './wire.ts';

function messageOf(schema: z.ZodType, io: 'input' | 'output'): Message {
  const root = jsonSchemaOf(schema, io);
  return new Shapes(root, io).message(root, 'Tested');
}

const methods = publishedMethods();

/** Through the bytes that go over the wire: the settings of a connection are a Struct. */
function overTheWire(struct: unknown): unknown {
  const method = methods.get('ConnectionsService/CreateConnection');
  if (method === undefined) throw new Error('there is no such method');
  return method.requestDeserialize(method.requestSerialize({ config: struct })).config;
}

describe('values of JSON', () => {
  it('come through as they are', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), (json) => {
        const { structValue } = toValue({ in: json }) as { structValue: unknown };
        const back = fromValue({ structValue: overTheWire(structValue) }, '');
        // JSON itself makes 0 of -0.
        expect(JSON.stringify(back)).toBe(JSON.stringify({ in: json }));
      }),
      { numRuns: 200 },
    );
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    '%s is refused and not made null',
    (numberValue) => {
      const value = {
        structValue: { fields: { 'a/b': { listValue: { values: [{ numberValue }] } } } },
      };
      expect(() => fromValue(value, '/config')).toThrow(
        expect.objectContaining({
          code: 'request_invalid',
          fields: [expect.objectContaining({ pointer: '/config/a~1b/0' })],
        }),
      );
    },
  );

  it('a value of no kind is null, and empty lists and objects are what they are', () => {
    expect(fromValue({}, '')).toBeNull();
    expect(fromValue({ listValue: {} }, '')).toEqual([]);
    expect(fromValue({ structValue: {} }, '')).toEqual({});
  });
});

describe('what is answered', () => {
  const message = messageOf(
    z.object({
      nullable: z.string().nullable(),
      always_null: z.null(),
      whole: z.int(),
      ratio: z.number().nullable(),
      list: z.array(z.object({ a: z.int().nullable() })),
      either: z.union([z.string(), z.int()]),
      any: z.unknown(),
      record: z.record(z.string(), z.int()),
      more: z.object({ known: z.int() }).catchall(z.int()),
      perhaps: z.array(z.string()).optional(),
    }),
    'output',
  );

  it('has a shape for each form of schema', () => {
    const shapes = Object.fromEntries(
      message.fields.map(({ name, shape, optional }) => [
        name,
        `${shape.kind}${optional ? '?' : ''}`,
      ]),
    );
    expect(shapes).toEqual({
      nullable: 'string?',
      always_null: 'string?',
      whole: 'int64',
      ratio: 'double?',
      list: 'list',
      either: 'value',
      any: 'value',
      record: 'struct',
      more: 'struct',
      perhaps: 'values?',
    });
  });

  it('leaves null out, and tells zero, false and the empty text from it', () => {
    const json = {
      nullable: null,
      always_null: null,
      whole: 0,
      ratio: 0,
      list: [{ a: null }, { a: 0 }],
    };
    expect(toMessage(message, json)).toEqual({ whole: 0, ratio: 0, list: [{}, { a: 0 }] });
    expect(toMessage(message, { nullable: '' })).toEqual({ nullable: '' });
  });

  it('tells an empty list from none where that makes a difference', () => {
    expect(toMessage(message, { perhaps: [] })).toEqual({ perhaps: { values: [] } });
    expect(toMessage(message, {})).toEqual({});
  });

  it('keeps both forms of a union', () => {
    expect(toMessage(message, { either: 'a' })).toEqual({ either: { stringValue: 'a' } });
    expect(toMessage(message, { either: 1 })).toEqual({ either: { numberValue: 1 } });
  });
});

describe('what is asked', () => {
  const message = messageOf(
    z.strictObject({
      limit: z.coerce.number().int().default(50),
      resolved: z.enum(['true', 'false']).optional(),
      at_least_one: z.array(z.string()).min(1).optional(),
      usual: z.array(z.string()).default([]),
      models: z.array(z.string()).optional(),
    }),
    'input',
  );

  it('is left out where it was left out', () => {
    expect(fromFields(message.fields, {}, '')).toEqual({});
  });

  it('is zero, false or empty where it was said to be', () => {
    const given = { limit: 0, resolved: false, models: {} };
    expect(fromFields(message.fields, given, '')).toEqual({
      limit: 0,
      resolved: 'false',
      models: [],
    });
  });

  it('has repeated fields only where an empty list says nothing else than none', () => {
    const kinds = message.fields.map(({ name, shape }) => [name, shape.kind]);
    expect(Object.fromEntries(kinds)).toMatchObject({
      at_least_one: 'list',
      usual: 'list',
      models: 'values',
    });
  });
});

describe('the published files', () => {
  it('have a call for each route', () => {
    const called = rpcsOf(ROUTES);
    expect(new Set(called.map(({ route }) => route))).toEqual(new Set(ROUTES));
    const names = called.map(({ service, name }) => `${service}/${name}`);
    const health = ['grpc.health.v1.Health/Check', 'grpc.health.v1.Health/Watch'];
    expect([...methods.keys()].toSorted()).toEqual([...names, ...health].toSorted());
  });

  it('have a live call for each feed, and no other', () => {
    const live = [...methods].filter(([, { responseStream }]) => responseStream);
    expect(live.map(([name]) => name).toSorted()).toEqual([
      'EventsService/FollowEvents',
      'ExecutionsService/FollowExecutionLogs',
      'grpc.health.v1.Health/Watch',
    ]);
  });

  it('take the examples of the routes, which come out as they went in', () => {
    const changed = rpcsOf(ROUTES).filter(({ route }) => route.example !== undefined);
    expect(changed.length).toBeGreaterThan(5);
    for (const rpc of changed) {
      const method = methods.get(`${rpc.service}/${rpc.name}`);
      const { fields } = rpc.request();
      if (fields.some(({ place }) => place === 'changes')) continue;
      const message = toMessage(rpc.request(), rpc.route.example);
      const bytes = method?.requestSerialize(message);
      const back = bytes === undefined ? null : method?.requestDeserialize(bytes);
      expect(fromFields(fields, back, ''), rpc.name).toEqual(rpc.route.example);
    }
  });
});
