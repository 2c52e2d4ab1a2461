import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { edit, inspect, missingOf, problemsOf, SHOP } from '../../../test/support/configuration.ts';
import { fillTemplate, lookUp, parseTemplate } from './references.ts';

const VARIABLES: Readonly<Record<string, string>> = { A: 'one', B_2: 'two\n', EMPTY: '' };
const surroundings = {
  folder: '/etc/forebay',
  variable: (name: string) => VARIABLES[name],
  file: (path: string) =>
    path === 'secrets/a b' ? { text: 'three\r\n' } : { reason: 'there is no such file' },
};

function filled(text: string): string | null {
  const template = parseTemplate(text, 'all');
  return fillTemplate(template, (reference) => lookUp(reference, surroundings)).text;
}

test.each([
  ['nothing to fill', 'nothing to fill'],
  ['${env:A}', 'one'],
  ['x${env:A}${env:B_2}y', 'xonetwoy'],
  ['${file:secrets/a b}!', 'three!'],
  ['$${env:A}', '${env:A}'],
  ['$A $ {env:A} $', '$A $ {env:A} $'],
])('%j is %j', (text, expected) => {
  expect(filled(text)).toBe(expected);
});

test.each([
  ['${env:}', 'the reference names no environment variable'],
  ['${env:A-B}', 'the reference names no environment variable'],
  ['${env:1A}', 'the reference names no environment variable'],
  ['${file:}', 'the reference names no file'],
  ['${env:A', 'the reference has no closing brace'],
  ['${evn:A}', 'no reference is of the kind evn; did you mean env?'],
  ['${vault:A}', 'no reference is of the kind vault'],
  ['${A}', 'a reference needs a kind'],
])('%j is none', (text, message) => {
  expect(parseTemplate(text, 'all').flaws).toEqual([
    {
      message,
      fix: 'Write ${env:NAME} or ${file:path}; for the text itself, double the dollar sign: $${',
    },
  ]);
});

test('in specifications only the two kinds are references', () => {
  const text = '${row.total} ${A} $${x} ${env:A}';
  const template = parseTemplate(text, 'known-kinds');
  expect(template.flaws).toEqual([]);
  expect(fillTemplate(template, (one) => lookUp(one, surroundings)).text).toBe(
    '${row.total} ${A} $${x} one',
  );
});

test('texts and references come out as they went in, in their order', () => {
  const piece = fc.oneof(
    fc.record({ kind: fc.constant('text'), text: fc.stringMatching(/^[^$]+$/) }),
    fc.record({ kind: fc.constant('env'), name: fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,5}$/) }),
    fc.record({ kind: fc.constant('escape') }),
  );
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      let [text, expected] = ['', ''];
      for (const one of pieces) {
        if ('text' in one) [text, expected] = [text + one.text, expected + one.text];
        else if ('name' in one) {
          [text, expected] = [`${text}\${env:${one.name}}`, `${expected}<${one.name}>`];
        } else [text, expected] = [`${text}$\${}`, `${expected}\${}`];
      }
      const template = parseTemplate(text, 'all');
      expect(template.flaws).toEqual([]);
      const look = ({ target }: { readonly target: string }) => ({
        value: `<${target}>`,
        flaw: null,
      });
      expect(fillTemplate(template, look).text).toBe(expected);
    }),
    { verbose: true },
  );
});

describe('in a file', () => {
  const URL = 'postgres://ada:secret@shop-db/shop';
  const referring = (text: string) => edit(SHOP, [URL, JSON.stringify(text)]);
  const AT = 'c.yaml:6:26 streams[0].source.connection_string:';

  test.each([
    [
      '${env:SHOP_URL}',
      'the environment variable SHOP_URL is not set (reference) — Set it before the start: export SHOP_URL=...',
    ],
    [
      '${file:shop.url}',
      'the file shop.url cannot be read: there is no such file (reference) — Correct the path (relative ones start at the folder of this file) or make the file readable.',
    ],
  ])('%s that is not there', (text, expected) => {
    expect(problemsOf(referring(text))).toEqual([]);
    expect(missingOf(referring(text))).toEqual([`${AT} ${expected}`]);
  });

  test('an empty one', () => {
    expect(missingOf(referring('${env:SHOP_URL}'), { variables: { SHOP_URL: '' } })).toEqual([
      `${AT} the environment variable SHOP_URL is empty (reference) — Set it before the start: export SHOP_URL=...`,
    ]);
    expect(missingOf(referring('${file:a}'), { files: { a: '\n' } })).toEqual([
      `${AT} the file a is empty (reference) — Write the value into it.`,
    ]);
  });

  test('one of an unknown kind', () => {
    expect(problemsOf(referring('${vualt:a}'))).toEqual([
      `${AT} no reference is of the kind vualt (reference) — Write \${env:NAME} or \${file:path}; for the text itself, double the dollar sign: $\${`,
    ]);
  });

  test('what it stands for keeps to the rules, and is not told', () => {
    const variables = { SHOP_URL: 'postgres://ada:hunter2@shop-db/stock' };
    expect(problemsOf(referring('${env:SHOP_URL}'), { variables })).toEqual([
      'c.yaml:7:17 streams[0].source.database: connection_string names another database (database) — Write the same name in both, or leave the database out of connection_string.',
    ]);
  });

  test('it stays a reference where it may be a secret', () => {
    const text = referring('postgres://ada:${env:WORD}@shop-db/shop');
    const { loaded } = inspect(text, { variables: { WORD: 'hunter2' } });
    const connection = loaded?.configuration.streams[0]?.source.connection_string;
    expect(connection).toBe('postgres://ada:${env:WORD}@shop-db/shop');
    expect(JSON.stringify([loaded, [...(loaded?.digests ?? [])]])).not.toContain('hunter2');
  });

  test('other texts are filled in', () => {
    const text = edit(`${SHOP}service: {log_level: "\${env:LEVEL}"}\n`, [
      'database: dw',
      'database: ${env:DB}',
    ]);
    const { loaded } = inspect(text, { variables: { LEVEL: 'debug', DB: 'dw' } });
    expect(loaded?.configuration.service.log_level).toBe('debug');
    expect(loaded?.configuration.streams[0]?.destination.database).toBe('dw');
    expect(problemsOf(text, { variables: { LEVEL: 'loud', DB: 'dw' } })).toEqual([
      'c.yaml:13:22 service.log_level: must be one of trace, debug, info, warn, error; found another text (one-of) — Write one of these.',
    ]);
    expect(problemsOf(text)).toEqual([]);
    expect(missingOf(text)).toHaveLength(2);
  });
});
