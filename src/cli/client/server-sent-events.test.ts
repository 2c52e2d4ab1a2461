import fc from 'fast-check';
import { expect, test } from 'vitest';

import { EventReader, type ServerSentEvent } from './server-sent-events.ts';

function readAll(...parts: readonly string[]): ServerSentEvent[] {
  const reader = new EventReader();
  return parts.flatMap((part) => [...reader.take(part)]);
}

test.each([
  ['id: 7\nevent: log\ndata: a\n\n', [{ id: '7', event: 'log', data: 'a' }]],
  ['data:a\ndata: b\ndata\n\n', [{ id: null, event: 'message', data: 'a\nb\n' }]],
  [
    'id: 1\ndata: a\n\ndata: b\n\n',
    ['a', 'b'].map((data) => ({ id: '1', event: 'message', data })),
  ],
  [': a comment\nretry: 5\nevent: log\n\n', []],
  ['data: not complete\n', []],
])('%j', (text, expected) => {
  expect(readAll(text)).toEqual(expected);
});

test('events are the same however they are cut and whatever ends their lines', () => {
  const event = fc.record({
    id: fc.nat().map(String),
    event: fc.constantFrom('log', 'end'),
    data: fc.string({ unit: 'grapheme' }).filter((text) => !/[\r\n]/.test(text)),
  });
  const cuts = fc.array(fc.nat({ max: 200 }), { maxLength: 6 });
  const ending = fc.constantFrom('\n', '\r\n');
  fc.assert(
    fc.property(fc.array(event), cuts, ending, (events, places, end) => {
      const text = events
        .map(({ id, event: name, data }) =>
          [`id: ${id}`, `event: ${name}`, `data: ${data}`, '', ''].join(end),
        )
        .join('');
      const edges = [0, ...places.toSorted((a, b) => a - b), text.length];
      const parts = edges.slice(1).map((edge, index) => text.slice(edges[index], edge));
      expect(readAll(...parts)).toEqual(events);
    }),
    { verbose: true },
  );
});

test('an event that grows without end is given up', () => {
  const parts = Array.from({ length: 100 }, () => `data: ${'x'.repeat(20_000)}\n`);
  expect(() => readAll(...parts)).toThrow(RangeError);
});
