import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

import { expect, test } from 'vitest';

import { type JsonSchema, configurationJsonSchema, fieldsAt } from './json-schema.ts';
import { inspectConfiguration } from './load.ts';
import { printProblem } from './problem.ts';

const examples = join(import.meta.dirname, '../../../examples');
const files = globSync('*.yaml', { cwd: examples }).toSorted();

/** What the examples' comments ask for. */
const environment = {
  FOREBAY_DEMO_SOURCE: 'postgres://demo:demo@127.0.0.1:5432/shop',
  FOREBAY_DEMO_DESTINATION: 'postgres://demo:demo@127.0.0.1:5432/warehouse',
  FOREBAY_DEMO_SERVER: 'postgres://127.0.0.1:5432',
  FOREBAY_DEMO_USER: 'demo',
  FOREBAY_DEMO_PASSWORD: 'demo',
  FOREBAY_DEMO_CERTIFICATES: examples,
  FOREBAY_DEMO_PASSPHRASE: 'demo',
  FOREBAY_DEMO_SALT: 'demo',
  AZURE_TENANT_ID: 'demo',
  AZURE_CLIENT_ID: 'demo',
  AZURE_CLIENT_SECRET: 'demo',
  AZURE_AUTHORITY_HOST: 'https://login.microsoftonline.com',
};

test.each(files)('%s is valid, without and with what it refers to', (file) => {
  for (const variables of [{}, environment]) {
    const { problems } = inspectConfiguration(join(examples, file), { environment: variables });
    expect(problems.map(printProblem)).toEqual([]);
  }
});

test.each(files)('%s needs only the variables that the others know', (file) => {
  const { missing } = inspectConfiguration(join(examples, file), { environment });
  const certificates = /\/(client\.crt|client\.key|ca\.crt) cannot be read/;
  expect(missing.filter(({ message }) => !certificates.test(message))).toEqual([]);
});

test.each(files)('%s names the schema in its first line', (file) => {
  expect(readFileSync(join(examples, file), 'utf8').split('\n')[0]).toBe(
    '# yaml-language-server: $schema=../schema/configuration.schema.json',
  );
});

test('there is one for each case', () => {
  expect(files.map((file) => basename(file, '.yaml'))).toEqual([
    'all-options',
    'append',
    'azure-entra',
    'certificate',
    'dead-letters-file',
    'dead-letters-table',
    'filter',
    'kazaam',
    'mapping',
    'mask',
    'minimal',
    'module',
    'several-streams',
    'soft-deletes',
    'username-password',
  ]);
});

function describedFields(schema: JsonSchema): string[] {
  const inner = [...(schema.oneOf ?? []), ...(schema.items === undefined ? [] : [schema.items])];
  const own = Object.entries(schema.properties ?? {}).flatMap(([name, field]) => [
    ...(field.description === undefined ? [name] : []),
    ...describedFields(field),
  ]);
  return [...own, ...inner.flatMap(describedFields)];
}

test('every field of the JSON Schema has a description', () => {
  expect(describedFields(configurationJsonSchema())).toEqual([]);
});

test('the one with all options has every field of a stream and of the service', () => {
  const { loaded } = inspectConfiguration(join(examples, 'all-options.yaml'), { environment });
  const schema = configurationJsonSchema();
  const text = readFileSync(join(examples, 'all-options.yaml'), 'utf8');
  const paths = [
    ['service'],
    ['streams', 0],
    ['streams', 0, 'source'],
    ['streams', 0, 'source', 'change_stream_options'],
    ['streams', 0, 'destination', 'write_options'],
    ['streams', 0, 'retry_policy'],
  ];
  const fields = paths.flatMap((path) => fieldsAt(schema, path, () => null));
  expect(loaded).not.toBeNull();
  expect(fields.filter((field) => !new RegExp(`\\b${field}:`).test(text))).toEqual([]);
  expect(fields.length).toBeGreaterThan(30);
});
