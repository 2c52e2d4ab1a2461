import { describe, expect, test } from 'vitest';

import { edit, inspect, missingOf, problemsOf, SHOP } from '../../../test/support/configuration.ts';

const AUTH = (config: string, type = 'azure_entra') =>
  `${SHOP}authentication:\n  - {id: login, type: ${type}, config: ${config}}\n`;
const HANDLING = (handling: string) =>
  `${SHOP}transformations:\n  - {id: t, type: kazaam, specification: {spec: []}, error_handling: ${handling}}\n`;
const CUSTOM = (specification: string) =>
  `${SHOP}transformations:\n  - {id: t, type: custom, specification: ${specification}}\n`;

describe('ids', () => {
  test.each([
    [
      'of streams are unique',
      `${SHOP}  - id: shop\n    source: {type: mysql, connection_string: "mysql://a", database: a}\n    destination: {type: mysql, connection_string: "mysql://b", database: a}\n`,
      'c.yaml:13:9 streams[1].id: "shop" is already the id of streams[0] (unique-id) — Give each entry an id of its own.',
    ],
    [
      'of authentication are unique',
      `${AUTH('{managed_identity: true}')}  - {id: login, type: username_password, config: {username: a, password: b}}\n`,
      'c.yaml:15:10 authentication[1].id: "login" is already the id of authentication[0] (unique-id) — Give each entry an id of its own.',
    ],
    [
      'of transformations are unique',
      `${HANDLING('{}')}  - {id: t, type: custom, specification: {filter: "true"}}\n`,
      'c.yaml:15:10 transformations[1].id: "t" is already the id of transformations[0] (unique-id) — Give each entry an id of its own.',
    ],
    [
      'of authentication are there',
      edit(AUTH('{managed_identity: true}'), [
        'database: shop',
        'database: shop\n      auth_id: logn',
      ]),
      'c.yaml:8:16 streams[0].source.auth_id: authentication has no entry with the id "logn" (known-id) — Did you mean login? Ids there: login.',
    ],
    [
      'of authentication are there for destinations too',
      `${SHOP}      auth_id: writer\n`,
      'c.yaml:13:16 streams[0].destination.auth_id: authentication has no entry with the id "writer" (known-id) — authentication has no entries.',
    ],
    [
      'of transformations are there',
      edit(HANDLING('{}'), ['  - id: shop\n', '  - id: shop\n    transformation_id: orders\n']),
      'c.yaml:4:24 streams[0].transformation_id: transformations has no entry with the id "orders" (known-id) — Ids there: t.',
    ],
  ])('%s', (_, text, expected) => {
    expect(problemsOf(text)).toEqual([expected]);
  });
});

describe('authentication', () => {
  test.each([
    [
      'unknown type',
      AUTH('{}', 'kerberos'),
      [
        'c.yaml:14:23 authentication[0].type: must be one of username_password, certificate, azure_entra; found "kerberos" (one-of) — Write one of these.',
      ],
    ],
    [
      'config missing',
      `${SHOP}authentication:\n  - {id: login, type: certificate}\n`,
      [
        'c.yaml:14:5 authentication[0].config: config is missing (required) — Add config: docs/configuration.md shows what it may be.',
      ],
    ],
    [
      'password missing',
      AUTH('{username: ada}', 'username_password'),
      [
        'c.yaml:14:42 authentication[0].config.password: password is missing (required) — Add password: docs/configuration.md shows what it may be.',
      ],
    ],
    [
      'a password that YAML reads as a number',
      AUTH('{username: ada, password: 12345}', 'username_password'),
      [
        'c.yaml:14:76 authentication[0].config.password: must be a text; found a number (type) — Put it into quotes if it looks like a number or a word of YAML.',
      ],
    ],
    [
      'a field of another type',
      AUTH('{username: ada, password: p, client_id: c}', 'username_password'),
      [
        'c.yaml:14:79 authentication[0].config.client_id: no field is called "client_id" here (unknown-key) — Remove it, or let it begin with x-. Fields here: username, password.',
      ],
    ],
    [
      'certificate without a key',
      AUTH('{cert_file: a.crt}', 'certificate'),
      [
        'c.yaml:14:36 authentication[0].config.key_file: key_file is missing (required) — Add key_file: docs/configuration.md shows what it may be.',
      ],
    ],
    [
      'entra without a way',
      AUTH('{tenant_id: t, client_id: c, managed_identity: false}'),
      [
        'c.yaml:14:36 authentication[0].config: azure_entra needs a way to prove itself (credentials) — Give one of client_secret, client_certificate, managed_identity, workload_identity.',
      ],
    ],
    [
      'entra with two ways',
      AUTH('{tenant_id: t, client_id: c, client_secret: s, workload_identity: true}'),
      [
        'c.yaml:14:36 authentication[0].config: azure_entra takes one way to prove itself, here are client_secret and workload_identity (credentials) — Give one of client_secret, client_certificate, managed_identity, workload_identity.',
      ],
    ],
    [
      'entra without tenant and client',
      AUTH('{client_secret: s}'),
      [
        'c.yaml:14:36 authentication[0].config.client_id: client_id is missing (required) — Add client_id; only a managed identity goes without it.',
        'c.yaml:14:36 authentication[0].config.tenant_id: tenant_id is missing (required) — Add tenant_id; only a managed identity goes without it.',
      ],
    ],
    ['entra with a managed identity', AUTH('{managed_identity: true}'), []],
    [
      'authority without TLS',
      AUTH('{managed_identity: true, authority_host: "http://login"}'),
      [
        'c.yaml:14:85 authentication[0].config.authority_host: must be an https URL (format) — Write e.g. https://login.microsoftonline.com.',
      ],
    ],
  ])('%s', (_, text, expected) => {
    expect(problemsOf(text)).toEqual(expected);
  });
});

describe('dead letters', () => {
  const AT = 'c.yaml:14:';
  const FIELD = 'transformations[0].error_handling.dead_letter_destination:';
  const SOMEWHERE = 'Write table:schema.name, file:dead/%Y-%m-%d.jsonl or the URL of a system.';

  test.each([
    'table:_forebay.dead_letters',
    'table:letters',
    'file:dead/%Y-%m-%d.jsonl',
    'file:50%%.jsonl',
    'duckdb:letters.duckdb',
    'env:LETTERS',
    '@letters',
    'postgres://h/letters',
    '${env:LETTERS_NOT_SET}',
  ])('%s', (destination) => {
    const text = HANDLING(`{on_error: dead_letter, dead_letter_destination: "${destination}"}`);
    expect(problemsOf(text)).toEqual([]);
  });

  test('are required where they are asked for', () => {
    expect(problemsOf(HANDLING('{on_error: dead_letter}'))).toEqual([
      `${AT}54 ${FIELD} dead_letter_destination is missing, and on_error is dead_letter (required) — Add e.g. dead_letter_destination: table:_forebay.dead_letters.`,
    ]);
    expect(problemsOf(HANDLING('{on_error: retry}'))).toEqual([]);
  });

  test.each([
    [
      'table:',
      'table: needs the name of a table (dead-letters) — Write e.g. table:_forebay.dead_letters.',
    ],
    [
      'table:a.b.c',
      'table: needs the name of a table (dead-letters) — Write e.g. table:_forebay.dead_letters.',
    ],
    ['file:', 'file: names no file (dead-letters) — Write e.g. file:dead/%Y-%m-%d.jsonl.'],
    [
      'file:dead/%Q.jsonl',
      '"%Q" is no date code (dead-letters) — Known codes: %Y, %m, %d, %H, %M, %S, %j, %y, %F, %L, %s, %z; write % itself as %%.',
    ],
    [
      'tabel:a.b',
      `this is neither a table, nor a file, nor a system (dead-letters) — Did you mean table:? ${SOMEWHERE}`,
    ],
    [
      'dead_letters',
      `this is neither a table, nor a file, nor a system (dead-letters) — ${SOMEWHERE}`,
    ],
  ])('%s is none', (destination, expected) => {
    const text = HANDLING(`{dead_letter_destination: "${destination}"}`);
    expect(problemsOf(text)).toEqual([`${AT}96 ${FIELD} ${expected}`]);
  });
});

describe('specifications', () => {
  const AT = 'c.yaml:14:27 transformations[0].specification';

  test.each([
    [
      '{}',
      `${AT}: the specification does nothing (specification) — Give filter, mapping, mask, module or steps.`,
    ],
    [
      '{filter: "true", steps: [{filter: "true"}]}',
      `${AT}: steps stand beside filter (specification) — Put all of it into steps, in the order it is to be done.`,
    ],
    [
      '{mask: {email: {method: hsh}}}',
      'c.yaml:14:66 transformations[0].specification.mask.email.method: must be one of hash, redact, truncate, tokenise, format_preserving; found "hsh" (one-of) — Did you mean hash?',
    ],
    [
      '{mapping: {renamed: {a: b}}}',
      'c.yaml:14:53 transformations[0].specification.mapping.renamed: no field is called "renamed" here (unknown-key) — Did you mean rename? Fields here: rename, drop, cast, set.',
    ],
    [
      '{steps: [{filtre: "true"}]}',
      'c.yaml:14:52 transformations[0].specification.steps[0].filtre: no field is called "filtre" here (unknown-key) — Did you mean filter? Fields here: filter, mapping, mask, module.',
    ],
  ])('%s', (specification, expected) => {
    expect(problemsOf(CUSTOM(specification))).toEqual([expected]);
  });

  test('what a compiler finds has its place in the file', () => {
    const text = edit(CUSTOM('{filter: "total >"}'));
    const check = () => [
      { path: ['filter'], message: 'the expression ends too early', fix: 'Write total > 1.' },
      { path: ['mapping', 'cast'], message: 'not there' },
    ];
    expect(problemsOf(text, { check })).toEqual([
      `${AT}.mapping.cast: not there (specification) — Correct the custom specification here.`,
      'c.yaml:14:51 transformations[0].specification.filter: the expression ends too early (specification) — Write total > 1.',
    ]);
  });

  test('a compiler sees what references stand for', () => {
    const seen: unknown[] = [];
    const text = CUSTOM('{mask: {a: {method: hash, salt: "${env:SALT}"}}}');
    const check = (_: unknown, specification: unknown) => {
      seen.push(specification);
      return [];
    };
    const { loaded } = inspect(text, { check, variables: { SALT: 'pepper' } });
    expect(seen).toEqual([{ mask: { a: { method: 'hash', salt: 'pepper' } } }]);
    expect(JSON.stringify(loaded?.configuration)).not.toContain('pepper');
  });
});

test('files that are not there are told apart from mistakes', () => {
  const text = `${AUTH('{cert_file: c/a.crt, key_file: a.key}', 'certificate')}transformations:\n  - {id: t, type: custom, specification: {steps: [{module: m.ts}]}}\n`;
  expect(problemsOf(text)).toEqual([]);
  expect(missingOf(text, { files: { 'a.key': 'key' } })).toEqual([
    'c.yaml:14:56 authentication[0].config.cert_file: the file c/a.crt cannot be read: there is no such file (file) — Correct the path (relative ones start at the folder of this file) or make the file readable.',
    'c.yaml:16:60 transformations[0].specification.steps[0].module: the file m.ts cannot be read: there is no such file (file) — Correct the path (relative ones start at the folder of this file) or make the file readable.',
  ]);
});
