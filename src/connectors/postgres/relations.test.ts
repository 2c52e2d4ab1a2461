import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import type { Column } from '../../core/stream-schema.ts';
import { type Attribute, matchColumns } from './relations.ts';

type Change =
  | { readonly kind: 'add' }
  | { readonly kind: 'drop'; readonly at: number }
  | { readonly kind: 'rename'; readonly at: number }
  | { readonly kind: 'swap'; readonly at: number; readonly other: number };

const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ kind: fc.constant('add') }),
  fc.record({ kind: fc.constant('drop'), at: fc.nat(5) }),
  fc.record({ kind: fc.constant('rename'), at: fc.nat(5) }),
  fc.record({ kind: fc.constant('swap'), at: fc.nat(5), other: fc.nat(5) }),
);

/**
 * The table after a change; the same one where the server would refuse it. New names are fresh ones; names change
 * hands by swaps.
 */
function alter(table: readonly Attribute[], step: Change, turn: number): readonly Attribute[] {
  const live = table.filter(({ dropped }) => !dropped);
  if (step.kind === 'add') {
    const name = `added ${table.length} ${turn}`;
    return [...table, { ref: String(table.length + 1), name, dropped: false, generated: false }];
  }
  const chosen = live[step.at % live.length];
  if (chosen === undefined) return table;
  const renamed = (names: ReadonlyMap<string, string>): readonly Attribute[] =>
    table.map((attribute) => ({ ...attribute, name: names.get(attribute.ref) ?? attribute.name }));
  switch (step.kind) {
    case 'drop':
      if (live.length === 1) return table;
      return table.map((attribute) =>
        attribute === chosen
          ? { ...attribute, dropped: true, name: `........pg.dropped.${attribute.ref}........` }
          : attribute,
      );
    case 'rename':
      return renamed(new Map([[chosen.ref, `renamed ${chosen.name} ${turn}`]]));
    case 'swap': {
      const other = live[step.other % live.length] ?? chosen;
      return renamed(
        new Map([
          [chosen.ref, other.name],
          [other.ref, chosen.name],
        ]),
      );
    }
  }
}

const start: readonly Attribute[] = ['a', 'b', 'c'].map((name, index) => ({
  ref: String(index + 1),
  name,
  dropped: false,
  generated: false,
}));

const columnsOf = (table: readonly Attribute[]): Column[] =>
  table
    .filter(({ dropped }) => !dropped)
    .map(({ ref, name }) => ({
      ref,
      name,
      type: { kind: 'text' },
      nativeType: 'text',
      nullable: true,
    }));

/** Versions of the table: what we knew, what a message was sent from, and what the catalog has by now. */
function versions(before: readonly Change[], after: readonly Change[]) {
  const sent = before.reduce<readonly Attribute[]>(alter, start);
  return {
    known: start,
    sent,
    now: after.reduce((table, step, turn) => alter(table, step, turn + 100), sent),
  };
}

const few = fc.array(change, { maxLength: 2 });

describe('matchColumns', () => {
  test('a message from the catalog as it is now, after two changes, is read as it is', () => {
    fc.assert(
      fc.property(few, (changes) => {
        const { known, now } = versions(changes, []);
        const columns = columnsOf(now);
        const refs = matchColumns(
          columns.map(({ name }) => name),
          now,
          columnsOf(known),
        );
        expect(refs).toEqual(columns.map(({ ref }) => ref));
      }),
      { numRuns: 1000 },
    );
  });

  /**
   * Allowed beside the truth, both about columns that are dropped by now. One may be taken for another that is gone
   * as well, since nobody knows what it was called last. And one may be taken for the column that has its name now:
   * the message from before looks like one from after; such a table is read again (planEvolution).
   */
  test.each([
    ['nothing', 'many', 0, 8],
    ['many', 'none', 8, 0],
    ['one', 'three', 1, 3],
    ['two', 'two', 2, 2],
  ])('a message after %s and before %s more is never read wrongly', (_, __, sooner, later) => {
    const changesBefore = fc.array(change, { maxLength: sooner });
    const changesAfter = fc.array(change, { maxLength: later });
    fc.assert(
      fc.property(changesBefore, changesAfter, (before, after) => {
        const { known, sent, now } = versions(before, after);
        const columns = columnsOf(sent);
        const refs = matchColumns(
          columns.map(({ name }) => name),
          now,
          columnsOf(known),
        );
        if (refs === null) return;
        for (const [index, column] of columns.entries()) {
          const meant = now.find(({ ref }) => ref === column.ref);
          const taken = now.find(({ ref }) => ref === refs[index]);
          const isGone = meant?.dropped === true;
          const allowed = isGone && (taken?.dropped === true || taken?.name === column.name);
          expect(
            refs[index] === column.ref || allowed,
            `${column.name}: ${refs[index]} for ${column.ref}`,
          ).toBe(true);
        }
      }),
      { numRuns: 20_000 },
    );
  });

  test('a swap of two names is followed, a drop and a rename that look alike are not guessed', () => {
    const [a, b, c] = start;
    if (a === undefined || b === undefined || c === undefined) throw new Error('three columns');
    const swapped = [{ ...a, name: 'b' }, { ...b, name: 'a' }, c];
    expect(matchColumns(['b', 'a', 'c'], swapped, columnsOf(start))).toEqual(['1', '2', '3']);
    expect(matchColumns(['a', 'b', 'c'], swapped, columnsOf(start))).toEqual(['1', '2', '3']);
    const gone = [
      a,
      { ...b, dropped: true, name: 'gone' },
      c,
      { ref: '4', name: 'x', dropped: false, generated: false },
    ];
    expect(matchColumns(['a', 'y', 'c'], gone, columnsOf(start))).toBeNull();
  });
});
