// Strict never gives a document that is no JSON, whatever the specification.
import { env, stdout } from 'node:process';

import { expect, test } from 'vitest';

import { ForebayError } from '../../src/core/errors.ts';
import { compileKazaam } from '../../src/transforms/kazaam/compile.ts';
import { drawCase } from '../support/kazaam-cases.ts';
import { freshSeed, seededRandom } from '../support/random.ts';

/** Null where the specification is refused before it sees a document. */
function compiled(spec: string): ReturnType<typeof compileKazaam> | null {
  try {
    return compileKazaam(JSON.parse(spec), { mode: 'strict', dialect: 'kazaam' });
  } catch (error) {
    if (error instanceof ForebayError && error.code === 'kazaam_spec') return null;
    throw error;
  }
}

test('strict makes JSON of JSON', () => {
  const seed = Number(env['FOREBAY_KAZAAM_SEED'] ?? freshSeed());
  stdout.write(`kazaam strict: seed ${seed} (FOREBAY_KAZAAM_SEED plays it again)\n`);
  const random = seededRandom(seed);
  let documents = 0;
  while (documents < 3000) {
    const { spec, input } = drawCase(random);
    const transform = compiled(spec);
    if (transform === null) continue;
    const outcome = transform(input);
    if (outcome.kind === 'document') {
      documents += 1;
      const { json } = outcome;
      expect(() => JSON.parse(json), `${spec}\n${input}\n${json}`).not.toThrow();
    }
  }
});
