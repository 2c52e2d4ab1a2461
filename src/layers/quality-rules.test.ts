import { describe, expect, it } from 'vitest';
import { durationSeconds, qualityRulesSchema, ruleName } from './quality-rules.ts';

const flaws = (rules: unknown): string[] =>
  (qualityRulesSchema.safeParse(rules).error?.issues ?? []).map(
    ({ path, message }) => `${path.join('.')}: ${message}`,
  );

describe('quality rules', () => {
  it('have a name and an action without being given one', () => {
    const [rule] = qualityRulesSchema.parse([{ rule: 'not_null', columns: ['a', 'b'] }]);
    expect(rule).toMatchObject({ action: 'warn' });
    expect(rule === undefined ? '' : ruleName(rule)).toBe('not_null:a,b');
  });

  it.each([
    [[{ rule: 'freshness', max_age: '1h', action: 'filter' }], '0.action'],
    [[{ rule: 'range', column: 'a' }], '0: Give min, max or both'],
    [[{ rule: 'regex', column: 'a', pattern: '(a)\\1' }], '0.pattern'],
    [[{ rule: 'regex', column: 'a', pattern: '(?=a)' }], '0.pattern'],
    [[{ rule: 'regex', column: 'a', pattern: '\\bword' }], '0.pattern'],
    [[{ rule: 'sql', expression: 'true) or (true' }], '0.expression: a parenthesis'],
    [[{ rule: 'sql', expression: 'true; drop table x' }], '0.expression: it holds more than one'],
    [[{ rule: 'type', column: 'a', type: 'decimal(50,2)' }], '0.type: Write one of'],
    [
      [
        { rule: 'not_null', columns: ['a'] },
        { rule: 'not_null', columns: ['a'] },
      ],
      '1.name',
    ],
    [
      [{ rule: 'foreign_key', columns: ['a'], references: { table: 't', columns: ['b', 'c'] } }],
      '0:',
    ],
    [[{ rule: 'odd' }], '0.rule'],
  ])('%j is refused', (rules, place) => {
    const found = flaws(rules);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(place);
  });

  it('accept a backslash that is escaped before such a letter', () => {
    expect(flaws([{ rule: 'regex', column: 'a', pattern: '^\\\\b\\d+$' }])).toEqual([]);
  });

  it('read durations', () => {
    expect(['90s', '2m', '3h', '1d'].map(durationSeconds)).toEqual([90, 120, 10_800, 86_400]);
  });
});
