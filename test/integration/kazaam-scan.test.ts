// A shift is one scan of the document, an extract searches for its path: both find the same.
import { env, stdout } from 'node:process';

import { describe, expect, test } from 'vitest';

import { compileKazaam } from '../../src/transforms/kazaam/compile.ts';
import { drawDocument } from '../support/kazaam-documents.ts';
import { freshSeed, type Random, seededRandom } from '../support/random.ts';

const DOCUMENTS = 3000;

function drawPath(random: Random, paths: readonly string[]): string {
  const path = paths.length === 0 ? 'a' : random.pick(paths);
  const starred = random.chance(40) ? path.replace(/\[\d\]/, '[*]') : path;
  return starred + random.pick(['', '', '', '.a', '.b', '.name', '[0]', '[1]', '[*]', '[*].name']);
}

describe.each(['compat', 'strict'] as const)('%s', (mode) => {
  test.each([true, false])('with require %j', (require) => {
    const seed = Number(env['FOREBAY_KAZAAM_SEED'] ?? freshSeed());
    stdout.write(`kazaam scan: seed ${seed} (FOREBAY_KAZAAM_SEED plays it again)\n`);
    const random = seededRandom(seed);
    const transform = (operation: object) =>
      compileKazaam([{ ...operation, require }], { mode, dialect: 'kazaam' });
    for (let i = 0; i < DOCUMENTS; i += 1) {
      const { text, paths } = drawDocument(random);
      const wanted = [drawPath(random, paths), drawPath(random, paths)];
      const [first, second] = wanted.map((path) =>
        transform({ operation: 'extract', spec: { path } })(text),
      );
      const shifted = transform({
        operation: 'shift',
        spec: { x: wanted[0], y: wanted[1] },
      })(text);
      const failure = [first, second].find((one) => one?.kind === 'failed');
      const values = [first, second].map((one) => (one?.kind === 'document' ? one.json : ''));
      const expected = failure ?? { kind: 'document', json: `{"x":${values[0]},"y":${values[1]}}` };
      expect(shifted, `${wanted.join(' and ')}\n${text}`).toEqual(expected);
    }
  });
});
