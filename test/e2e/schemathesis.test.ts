// The running server against its own description, by Schemathesis: no request of its making is answered with a 5xx, and
// each answer is one that the description has.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { startServerProcess } from '../support/control-server.ts';
import { freshSeed } from '../support/random.ts';
import { findSchemathesis } from '../support/schemathesis.ts';

const packages = findSchemathesis();
/** Not among them: opaque texts (cursors, ids) that the description takes and the server does not know. */
const CHECKS = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_schema_conformance',
  'response_headers_conformance',
  'ignored_auth',
  'use_after_free',
];

test.skipIf(packages === null)(
  'the API answers as its description says',
  { timeout: 300_000 },
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'fb-schemathesis-'));
    const seed = freshSeed();
    {
      await using server = await startServerProcess(['--data-dir', join(folder, 'data')]);
      const token = await server.setUp();
      const child = spawn(
        'python3',
        [
          '-c',
          'from schemathesis.cli import schemathesis; schemathesis()',
          'run',
          `${server.url}/openapi.json`,
          '--header',
          `Authorization: Bearer ${token}`,
          '--phases',
          'examples,coverage,fuzzing',
          '--max-examples',
          '6',
          '--checks',
          CHECKS.join(),
          '--seed',
          String(seed),
          // They take the token away, or ask for another one.
          '--exclude-path-regex',
          '^/api/v1/(setup|login|logout)',
          '--request-timeout',
          '30',
          '--warnings',
          'off',
        ],
        {
          // Its files of examples and failures stay out of the sources.
          cwd: folder,
          env: { ...process.env, PYTHONPATH: packages ?? '' },
          stdio: ['ignore', 'pipe', 'pipe'],
        },
      );
      let output = '';
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding('utf8').on('data', (text: string) => {
          output += text;
        });
      }
      const [code] = (await once(child, 'close')) as [number | null];
      expect(code, `seed ${seed}\n${output.slice(0, 20_000)}`).toBe(0);
    }
    rmSync(folder, { recursive: true });
  },
);
