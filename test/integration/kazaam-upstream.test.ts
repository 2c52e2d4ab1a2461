// The cases of upstream's own tests.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';
import { z } from 'zod';

import { ForebayError } from '../../src/core/errors.ts';
import { compileKazaam } from '../../src/transforms/kazaam/compile.ts';
import { canonicalJson } from '../support/canonical-json.ts';

const upstreamCase = z.object({
  name: z.string(),
  spec: z.string(),
  input: z.string(),
  output: z.string().optional(),
  /** Part of the message. */
  error: z.string().optional(),
  /** The specification is refused. */
  load: z.boolean().optional(),
});

const file = join(import.meta.dirname, '..', 'support', 'kazaam-upstream-cases.ndjson');
const cases = readFileSync(file, 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => upstreamCase.parse(JSON.parse(line)));

function parsed(spec: string): unknown {
  return spec === '' ? '' : JSON.parse(spec);
}

describe.each(['compat', 'strict'] as const)('%s', (mode) => {
  const transform = (spec: string, input: string) =>
    compileKazaam(parsed(spec), { mode, dialect: 'kazaam' })(input);

  test.each(cases.filter(({ output }) => output !== undefined))(
    '$name gives upstream’s document',
    ({ spec, input, output = '' }) => {
      const outcome = transform(spec, input);
      expect(outcome.kind === 'document' ? canonicalJson(outcome.json) : outcome).toBe(
        canonicalJson(output),
      );
    },
  );

  test.each(cases.filter(({ error }) => error !== undefined))(
    '$name fails as upstream does',
    ({ spec, input, error = '' }) => {
      expect(transform(spec, input)).toMatchObject({
        kind: 'failed',
        message: expect.stringContaining(error),
      });
    },
  );
});

test.each(cases.filter(({ load }) => load === true))('$name is refused', ({ spec }) => {
  expect(() => compileKazaam(parsed(spec), { mode: 'compat', dialect: 'kazaam' })).toThrow(
    expect.toSatisfy(
      (error) =>
        error instanceof SyntaxError ||
        (error instanceof ForebayError && error.code === 'kazaam_spec'),
    ),
  );
});
