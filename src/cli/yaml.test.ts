import { expect, test } from 'vitest';

import { toYaml } from './yaml.ts';

test('prints nested data in block style', () => {
  const value = {
    v: 1,
    streams: [
      { stream: 'public.orders', key: ['id'], rows: null, none: [] },
      { stream: 'public.a b', key: [], fix: 'line one\nline two', none: {} },
    ],
    on: 'yes',
    number: '12',
  };
  expect(toYaml(value)).toBe(
    [
      'v: 1',
      'streams:',
      '  - stream: public.orders',
      '    key:',
      '      - id',
      '    rows: null',
      '    none: []',
      '  - stream: public.a b',
      '    key: []',
      '    fix: "line one\\nline two"',
      '    none: {}',
      '"on": "yes"',
      'number: "12"',
      '',
    ].join('\n'),
  );
});
