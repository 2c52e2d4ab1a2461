import { inspect as print } from 'node:util';
import { expect, test } from 'vitest';

import { edit, inspect, SHOP } from '../../../test/support/configuration.ts';
import type { LoadedConfiguration } from './inspect.ts';
import { resolveReferences, type ResolveResult } from './resolve.ts';

const TEXT = `${edit(
  SHOP,
  ['postgres://ada:secret@shop-db/shop', '"postgres://${env:HOST}/shop"'],
  ['  - id: shop\n', '  - id: shop\n    transformation_id: t\n'],
  ['      database: shop\n', '      database: shop\n      auth_id: login\n'],
)}authentication:
  - id: login
    type: username_password
    config: {username: "\${env:NAME}", password: "\${file:word}"}
transformations:
  - id: t
    type: custom
    specification: {mask: {a: {method: hash, salt: "\${env:SALT}"}}}
    error_handling: {on_error: dead_letter, dead_letter_destination: "postgres://\${env:HOST}/letters"}
`;
const variables: Record<string, string> = { HOST: 'shop-db', NAME: 'ada', SALT: 'pepper' };
const files: Record<string, string> = { word: 'hunter2\n' };

function loadedOf(text: string): LoadedConfiguration {
  const { loaded, problems } = inspect(text, { variables, files });
  if (loaded === null) throw new Error(JSON.stringify(problems));
  return loaded;
}

function resolve(loaded: LoadedConfiguration): ResolveResult {
  const [stream] = loaded.configuration.streams;
  if (stream === undefined) throw new Error('no stream');
  return resolveReferences(loaded, stream);
}

test('references are filled in, and what is secret is a Secret', () => {
  const result = resolve(loadedOf(TEXT));
  if (result.kind !== 'resolved') throw new Error('unresolved');
  const { source, destination, transformation } = result.stream;
  expect(source.connection.reveal()).toBe('postgres://shop-db/shop');
  expect(destination.connection.reveal()).toBe('postgres://ada:secret@dw-db/dw');
  const { authentication } = source;
  if (authentication?.type !== 'username_password') throw new Error('another type');
  expect(authentication.config.username).toBe('ada');
  expect(authentication.config.password.reveal()).toBe('hunter2');
  expect(destination.authentication).toBeNull();
  expect(transformation?.specification).toEqual({
    mask: { a: { method: 'hash', salt: 'pepper' } },
  });
  expect(transformation?.deadLetters?.reveal()).toBe('postgres://shop-db/letters');
  expect(print(source, { depth: 9 }) + JSON.stringify(source)).not.toMatch(/hunter2|postgres:/);
});

test('they are followed anew each time, and what is gone is told with its place', () => {
  const loaded = loadedOf(TEXT);
  files['word'] = 'hunter3';
  const renewed = resolve(loaded);
  expect(
    renewed.kind === 'resolved' &&
      renewed.stream.source.authentication?.type === 'username_password' &&
      renewed.stream.source.authentication.config.password.reveal(),
  ).toBe('hunter3');
  delete variables['HOST'];
  const gone = resolve(loaded);
  expect(gone).toMatchObject({
    kind: 'unresolved',
    problems: [
      { line: 7, column: 26, path: 'streams[0].source.connection_string', rule: 'reference' },
      { line: 23, path: 'transformations[0].error_handling.dead_letter_destination' },
    ],
  });
});
