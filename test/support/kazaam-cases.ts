// Random specifications for a document: every operation, modifier and form of path.
import { type Document, drawDocument } from './kazaam-documents.ts';
import type { Random } from './random.ts';

export interface KazaamCase {
  readonly spec: string;
  readonly input: string;
}

const LAYOUTS = [
  'Mon Jan _2 15:04:05 -0700 2006',
  '2006-01-02T15:04:05Z07:00',
  '2006-01-02T15:04:05-0700',
  'January _2, 2006',
  'Mon Jan _2 15:04:05 2006',
  '3:04PM .000 MST',
  'Monday, 02-Jan-06 15:04:05.999 MST',
  '002 __2 06 1 2 3 4 5 pm',
  '$unix',
  '',
];

const NAMESPACES = [
  'DNS',
  'URL',
  'OID',
  'X500',
  '04536ac7-c030-4f10-811b-451bcc4c8ef5',
  '{04536AC7c0304f10811b451bcc4c8ef5}',
  'urn:uuid:04536ac7-c030-4f10-811b-451bcc4c8ef5',
  'no',
];

interface Drawing {
  readonly random: Random;
  readonly document: Document;
  readonly separator: string;
}

function freshPath({ random }: Drawing): string {
  const part = (): string => {
    const key = random.pick(['a', 'b', 'c', 'items', 'name', 'new', 'n2', 'é', 'x y']);
    const index = random.chance(5)
      ? random.pick(['[x]', '[-1]', '[]', '[99999999999999999999]'])
      : random.pick(['[0]', '[0]', '[1]', '[3]', '[*]', '[+]', '[-]', '[0][1]']);
    return random.chance(20) ? key + index : key;
  };
  const parts = Array.from({ length: 1 + random.below(3) }, part);
  return (random.chance(4) ? '[0].' : '') + parts.join('.');
}

function drawPath(drawing: Drawing): string {
  const { random, document, separator } = drawing;
  let path = freshPath(drawing);
  if (document.paths.length > 0 && random.chance(65)) {
    path = random.pick(document.paths);
    if (random.chance(30)) path = path.replaceAll(/\[\d\]/g, '[*]');
    else if (random.chance(15)) path = path.replace(/\[\d\]$/, random.pick(['[+]', '[-]', '[9]']));
    if (random.chance(10)) path += random.pick(['.new', '[0]', '[*]', '.a', '[1].new']);
  }
  return path.replaceAll('.', separator);
}

/** Mostly such as can be set: without `[*]`, and not below a bare index. */
function drawTarget(drawing: Drawing): string {
  const path = drawPath(drawing);
  if (drawing.random.chance(20)) return path;
  return path.replaceAll('[*]', '[0]').replace(/^\[\d\]/, 'a');
}

function targets(drawing: Drawing): string[] {
  const count = drawing.random.chance(60) ? 1 : 2 + drawing.random.below(2);
  return Array.from({ length: count }, () => drawTarget(drawing));
}

function literal(random: Random): unknown {
  return random.pick<unknown>([
    5,
    -0,
    1e21,
    1e-7,
    0.1,
    123456789012345680000,
    'text',
    '<a href="x">&\u2028',
    'é😀',
    true,
    null,
    [],
    {},
    { b: [1, { c: null }], a: 'x' },
    'tab\tand \u0001',
  ]);
}

function map(keys: readonly string[], value: () => unknown): Record<string, unknown> {
  return Object.fromEntries(keys.map((key) => [key, value()]));
}

function drawShift(drawing: Drawing): Record<string, unknown> {
  const { random } = drawing;
  const source = (): string => (random.chance(8) ? '$' : drawPath(drawing));
  return map(targets(drawing), () => {
    if (random.chance(4)) return random.pick<unknown>([null, 5, {}, [null, 'a']]);
    if (random.chance(25)) return Array.from({ length: 1 + random.below(2) }, source);
    return source();
  });
}

function drawConcat(drawing: Drawing): Record<string, unknown> {
  const { random } = drawing;
  const sources = Array.from({ length: 1 + random.below(3) }, () => {
    if (random.chance(35)) return { value: random.pick(['x', '', ' ', 'é', 'say "hi"', 'a\\']) };
    if (random.chance(5)) return random.pick([{ Path: 'a' }, {}, { value: 'v', path: 'a' }]);
    return { path: drawPath(drawing) };
  });
  return {
    ...(random.chance(2) ? {} : { sources }),
    ...(random.chance(2) ? {} : { targetPath: drawTarget(drawing) }),
    ...(random.chance(60) ? { delim: random.pick([',', '', ' - ', ':']) } : {}),
  };
}

function drawCoalesce(drawing: Drawing): Record<string, unknown> {
  const { random } = drawing;
  const ignore = random.chance(40)
    ? { ignore: [5, '', 'x', 7, true, []].slice(random.below(6)) }
    : {};
  const spec = map(targets(drawing), () => {
    if (random.chance(3)) return random.pick<unknown>(['a', null, [5]]);
    return Array.from({ length: 1 + random.below(3) }, () => drawPath(drawing));
  });
  return { ...spec, ...ignore };
}

function drawTimestamp(drawing: Drawing): Record<string, unknown> {
  const { random } = drawing;
  return map(targets(drawing), () => {
    if (random.chance(4))
      return random.pick<unknown>([null, {}, { inputFormat: '' }, { outputFormat: '' }]);
    if (random.chance(5)) return { inputFormat: '$now', outputFormat: '2006-07' };
    const inputFormat = random.pick(random.chance(70) ? LAYOUTS.slice(0, 2) : LAYOUTS);
    return {
      inputFormat: random.chance(40) ? '$unix' : inputFormat,
      outputFormat: random.pick(LAYOUTS),
    };
  });
}

function drawUuid(drawing: Drawing): Record<string, unknown> {
  const { random } = drawing;
  const name = (): unknown => ({
    path: drawPath(drawing),
    ...(random.chance(90) ? { default: 'none' } : {}),
  });
  return map(targets(drawing), () => {
    if (random.chance(4)) return random.pick<unknown>([null, {}, { version: 6 }, { version: '5' }]);
    return {
      version: random.pick([3, 5, 5.5]),
      ...(random.chance(3) ? {} : { namespace: random.pick(NAMESPACES) }),
      ...(random.chance(3) ? {} : { names: Array.from({ length: random.below(3) }, name) }),
    };
  });
}

const OPERATIONS: Readonly<Record<string, (drawing: Drawing) => Record<string, unknown>>> = {
  shift: drawShift,
  extract: (drawing) =>
    drawing.random.chance(3) ? { other: 'a' } : { path: drawPath(drawing), other: 1 },
  default: (drawing) => map(targets(drawing), () => literal(drawing.random)),
  delete: (drawing) => {
    if (drawing.random.chance(4)) {
      return drawing.random.pick<Record<string, unknown>>([
        { p: [] },
        { paths: 1e21 },
        { paths: ['a', { b: 1 }] },
      ]);
    }
    return { paths: targets(drawing) };
  },
  concat: drawConcat,
  coalesce: drawCoalesce,
  timestamp: drawTimestamp,
  uuid: drawUuid,
  pass: () => ({ any: 'thing' }),
};

const WEIGHTED = ['shift', 'shift', 'shift', ...Object.keys(OPERATIONS), 'default', 'timestamp'];

function drawOperation(random: Random, document: Document): Record<string, unknown> {
  const operation = random.pick(WEIGHTED);
  const separator = random.chance(12) ? random.pick(['>', '/', '::']) : '.';
  const draw = OPERATIONS[operation];
  const arrays = document.paths.filter((path) => path.endsWith('[0]'));
  const over = arrays.length > 0 ? random.pick(arrays).slice(0, -3) : random.pick(['$', 'a']);
  return {
    operation,
    spec: draw?.({ random, document, separator }) ?? {},
    ...(separator === '.' && random.chance(90) ? {} : { keySeparator: separator }),
    ...(random.chance(12) ? { require: random.chance(80) } : {}),
    ...(operation === 'shift' && random.chance(30) ? { inplace: true } : {}),
    ...(random.chance(10) ? { over } : {}),
  };
}

export function drawCase(random: Random): KazaamCase {
  const document = drawDocument(random);
  const count = random.pick([1, 1, 1, 2, 2, 3]);
  const spec = Array.from({ length: count }, () => drawOperation(random, document));
  return { spec: JSON.stringify(spec), input: document.text };
}
