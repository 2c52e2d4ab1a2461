import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { insertsName, slotName } from './slot-names.ts';

const namesOf = (pipeline: string): string[] => [
  slotName(pipeline),
  insertsName(slotName(pipeline)),
];

describe('names in the source', () => {
  test('a name that a slot may have stays as it is', () => {
    expect(namesOf('shop_warehouse_1f2e3d4c')).toEqual([
      'forebay_shop_warehouse_1f2e3d4c',
      'forebay_shop_warehouse_1f2e3d4c_inserts',
    ]);
  });

  test('names that differ in what a slot cannot tell apart have different slots', () => {
    const long = 'x'.repeat(60);
    const pipelines = ['a-b', 'a_b', 'A_B', 'a.b', 'ä_b', `${long}1`, `${long}2`];
    expect(new Set(pipelines.map(slotName)).size).toBe(pipelines.length);
  });

  test('no slot or publication is that of two pipelines, and all are names that a server takes', () => {
    // Letters that clash often, and names that are made to look like those of others.
    const letters = fc.string({ unit: fc.constantFrom('a', 'A', '-', '_', 'é'), maxLength: 6 });
    const base = fc.tuple(letters, fc.constantFrom('', '_inserts', 'b'.repeat(50)));
    const made = base.map(([start, end]) => start + end).filter((name) => name !== '');
    const name = made.chain((one) =>
      fc.constantFrom(one, slotName(one).slice('forebay_'.length), `${one}_inserts`),
    );
    fc.assert(
      fc.property(fc.uniqueArray(name, { minLength: 2, maxLength: 12 }), (pipelines) => {
        const names = pipelines.flatMap(namesOf);
        expect(new Set(names).size).toBe(names.length);
        for (const one of names) expect(one).toMatch(/^[a-z0-9_]{1,63}$/);
      }),
    );
  });
});
