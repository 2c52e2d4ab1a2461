// The .proto files of the API, made from its routes: a file and a service for each tag.
import { isDeepStrictEqual } from 'node:util';

import { PACKAGE, type Rpc, rpcsOf } from '../src/api/grpc/contract.ts';
import { type Field, type Message, pascal, type Shape } from '../src/api/grpc/shape.ts';
import type { Route } from '../src/api/route.ts';
import { type KnownMessage, numbersFor, readKnown } from './proto-numbers.ts';

const FOLDER = PACKAGE.replaceAll('.', '/');
const STRUCT = 'google/protobuf/struct.proto';
const EMPTY = 'google/protobuf/empty.proto';

interface ProtoFile {
  readonly path: string;
  readonly tag: string;
  readonly rpcs: Rpc[];
  readonly messages: Message[];
  readonly imports: Set<string>;
}

function fileName(tag: string): string {
  return `${FOLDER}/${tag.toLowerCase().replaceAll(/[^a-z0-9]+/g, '_')}.proto`;
}

function typeOf(shape: Shape): string {
  switch (shape.kind) {
    case 'string':
    case 'bool':
    case 'int64':
    case 'double':
      return shape.kind;
    case 'flag':
      return 'bool';
    case 'value':
      return 'google.protobuf.Value';
    case 'struct':
      return 'google.protobuf.Struct';
    case 'values':
      return 'google.protobuf.ListValue';
    case 'message':
      return shape.message.name;
    case 'list':
      if (shape.of.kind === 'list') throw new Error('lists in lists have no form in .proto');
      return typeOf(shape.of);
  }
}

const itemOf = (shape: Shape): Shape => (shape.kind === 'list' ? shape.of : shape);

/** Puts each message into the file of the tag that has it first; files import only those before them. */
class Files {
  readonly #byTag = new Map<string, ProtoFile>();
  readonly #homes = new Map<string, { readonly message: Message; readonly file: ProtoFile }>();

  add(rpc: Rpc): void {
    const file = this.#fileOf(rpc.route.tag);
    file.rpcs.push(rpc);
    this.#place(rpc.request(), file);
    const response = rpc.response();
    if (response.kind === 'empty') file.imports.add(EMPTY);
    else this.#place(response.message, file);
  }

  all(): ProtoFile[] {
    return [...this.#byTag.values()];
  }

  #fileOf(tag: string): ProtoFile {
    const known = this.#byTag.get(tag);
    if (known !== undefined) return known;
    const file = { path: fileName(tag), tag, rpcs: [], messages: [], imports: new Set<string>() };
    this.#byTag.set(tag, file);
    return file;
  }

  #place(message: Message, file: ProtoFile): void {
    const home = this.#homes.get(message.name);
    if (home !== undefined) {
      if (!isDeepStrictEqual(home.message, message)) {
        throw new Error(`there are two messages ${message.name} that are not the same`);
      }
      if (home.file !== file) file.imports.add(home.file.path);
      return;
    }
    this.#homes.set(message.name, { message, file });
    file.messages.push(message);
    for (const { shape } of message.fields) {
      const item = itemOf(shape);
      if (item.kind === 'message') this.#place(item.message, file);
      if (['value', 'struct', 'values'].includes(item.kind)) file.imports.add(STRUCT);
    }
  }
}

const comment = (text: string | null, indent = ''): string[] =>
  text === null ? [] : [`${indent}// ${text}`];

function fieldLines(field: Field, number: number | undefined): string[] {
  const { name, shape, optional } = field;
  const isScalar = ['string', 'bool', 'flag', 'int64', 'double'].includes(shape.kind);
  const label = shape.kind === 'list' ? 'repeated ' : optional && isScalar ? 'optional ' : '';
  return [...comment(field.comment, '  '), `  ${label}${typeOf(shape)} ${name} = ${number};`];
}

function messageLines(message: Message, known: KnownMessage | undefined): string[] {
  const wanted = message.fields.map(({ name, shape }) => ({
    name,
    type: typeOf(shape),
    repeated: shape.kind === 'list',
  }));
  const { numbers, reservedNumbers, reservedNames } = numbersFor(message.name, wanted, known);
  const names = reservedNames.map((name) => `"${name}"`);
  const body = [
    ...(reservedNumbers.length === 0 ? [] : [`  reserved ${reservedNumbers.join(', ')};`]),
    ...(names.length === 0 ? [] : [`  reserved ${names.join(', ')};`]),
    ...message.fields.flatMap((field) => fieldLines(field, numbers.get(field.name))),
  ];
  const head = comment(message.comment);
  return body.length === 0
    ? ['', ...head, `message ${message.name} {}`]
    : ['', ...head, `message ${message.name} {`, ...body, '}'];
}

function rpcLines(rpc: Rpc): string[] {
  const { route } = rpc;
  const response = rpc.response();
  const answer = response.kind === 'empty' ? 'google.protobuf.Empty' : response.message.name;
  const stream = response.kind === 'feed' ? 'stream ' : '';
  return [
    ...comment(rpc.comment, '  '),
    ...comment(`${route.method} ${route.path}, permission: ${route.permission}.`, '  '),
    `  rpc ${rpc.name}(${rpc.request().name}) returns (${stream}${answer});`,
  ];
}

function fileText(file: ProtoFile, known: ReadonlyMap<string, KnownMessage>): string {
  const imports = [...file.imports].toSorted().map((path) => `import "${path}";`);
  const lines = [
    '// Made by `npm run docs` from the routes of the API; a field that is here keeps its number.',
    'syntax = "proto3";',
    '',
    `package ${PACKAGE};`,
    ...(imports.length === 0 ? [] : ['', ...imports]),
    '',
    `service ${pascal(file.tag)}Service {`,
    ...file.rpcs.flatMap(rpcLines),
    '}',
    ...file.messages.flatMap((message) => messageLines(message, known.get(message.name))),
  ];
  return `${lines.join('\n')}\n`;
}

/** Texts by their paths within the folder of .proto files; `before` are the texts of the last time. */
export function protoFiles(
  routes: readonly Route[],
  before: Iterable<string>,
): Map<string, string> {
  const files = new Files();
  for (const rpc of rpcsOf(routes)) files.add(rpc);
  const known = readKnown(before);
  return new Map(files.all().map((file) => [file.path, fileText(file, known)]));
}
