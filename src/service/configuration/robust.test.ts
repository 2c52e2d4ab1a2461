import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';

import { inspect } from '../../../test/support/configuration.ts';
import { printProblem } from './problem.ts';
import { readYaml } from './yaml-document.ts';
import type { DocumentNode } from './document.ts';

const SECRET = 'hunter2';

const all = readFileSync(join(import.meta.dirname, '../../../examples/all-options.yaml'), 'utf8');

function plain(node: DocumentNode): unknown {
  if (node.kind === 'scalar') return node.value;
  if (node.kind === 'list') return node.items.map(plain);
  return Object.fromEntries([...node.entries].map(([key, entry]) => [key, plain(entry.node)]));
}

const { root } = readYaml(all);
const value = root === null ? {} : plain(root);

/** The n-th member of all members of a tree, replaced. */
function replaced(tree: unknown, at: { left: number }, by: unknown): unknown {
  at.left -= 1;
  if (at.left === -1) return by;
  if (Array.isArray(tree)) return tree.map((one) => replaced(one, at, by));
  if (typeof tree !== 'object' || tree === null) return tree;
  return Object.fromEntries(Object.entries(tree).map(([key, one]) => [key, replaced(one, at, by)]));
}

const replacement = fc.oneof(
  fc.constantFrom<unknown>(null, '', ' ', 0, -1, 1e300, true, [], {}, [null], [[]], '*', '?'),
  fc.constantFrom(
    '${env:',
    '${env:A}',
    '${file:}',
    '${x}',
    '$${',
    'postgres://',
    'mongodb://',
    'host=',
    'table:',
    'file:%',
    'AccountEndpoint=;',
    'cosmosdb://',
    'mysql://[',
    'postgres://%',
    '__proto__',
  ),
  fc.jsonValue({ maxDepth: 2 }),
  fc.record({ __proto__: fc.constant(1), 'x-': fc.constant(1), constructor: fc.constant({}) }),
);

test('whatever stands where, it is told with a place and never thrown', () => {
  const edits = fc.array(fc.tuple(fc.nat(110), replacement), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(edits, (made) => {
      const changed = made.reduce<unknown>(
        (tree, [left, by]) => replaced(tree, { left }, by),
        value,
      );
      const { loaded, problems } = inspect(JSON.stringify(changed, null, 1));
      if (problems.length > 0) expect(loaded).toBeNull();
      for (const problem of problems) {
        expect(problem.line).toBeGreaterThan(0);
        expect(problem.column).toBeGreaterThan(0);
        expect(printProblem(problem)).toMatch(/^c\.yaml:\d+:\d+:? .+ \([a-z-]+\) — .+$/s);
      }
    }),
    { verbose: true, numRuns: 500 },
  );
});

test('a password that stands in a wrong place of a connection string or a login is not told', () => {
  const forms = fc.constantFrom(
    `postgres://a:${SECRET}@`,
    `postgres://a:${SECRET}`,
    `postgres:/a:${SECRET}@h/d`,
    `a:${SECRET}@h`,
    `postgres://a:${SECRET}@h:x/d`,
    `postgres://a:x/${SECRET}@h/d`,
    `postgres://a:1?${SECRET}@h/d`,
    `postgres://a:1#${SECRET}@h/d`,
    `host=h password=${SECRET} x=y`,
    `password='${SECRET}`,
    `postgres://h/d?password=${SECRET}`,
    `postgres://a:b@${SECRET}@h/d`,
    `mysql://a:${SECRET}@h:1:2/d`,
    `mongodb://a:${SECRET}@/d`,
    `mongodb+srv://a:${SECRET}@h:1/d`,
    `AccountEndpoint=x;AccountKey=${SECRET}`,
    `AccountKey=${SECRET};`,
    `cosmosdb://a:${SECRET}@`,
    `postgres://a:${SECRET}%@h/d`,
    `${SECRET}`,
    `\${env:${SECRET}`,
    `\${${SECRET}}`,
    `\${a:${SECRET}}`,
  );
  const type = fc.constantFrom('postgres', 'mysql', 'mongodb', 'cosmosdb');
  fc.assert(
    fc.property(forms, type, (connection, kind) => {
      const system = { type: kind, connection_string: connection, database: 'd', auth_id: 'l' };
      const file = {
        version: '1',
        streams: [{ id: 's', source: system, destination: system }],
        authentication: [
          {
            id: 'l',
            type: 'username_password',
            config: { username: 1, password: { a: connection } },
          },
        ],
      };
      const { problems, missing } = inspect(JSON.stringify(file));
      const told = [...problems, ...missing].map(printProblem).join('\n');
      expect(told).not.toContain(SECRET);
    }),
    { verbose: true, numRuns: 300 },
  );
});
