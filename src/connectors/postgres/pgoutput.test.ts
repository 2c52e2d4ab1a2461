import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { ForebayError } from '../../core/errors.ts';
import {
  readBegin,
  readCommitEnd,
  readRelation,
  readStreamCommit,
  readTruncate,
  readTuple,
} from './pgoutput.ts';

const text = fc.string({ maxLength: 12 }).map((value) => value.replaceAll('\0', '.'));
const relation = fc.record({
  oid: fc.integer({ min: 1, max: 0xffff_ffff }),
  namespace: text.map((value) => value || 'public'),
  name: text,
  columns: fc.array(
    fc.record({
      name: text,
      typeOid: fc.integer({ min: 1, max: 0xffff_ffff }),
      typmod: fc.integer(),
    }),
    { maxLength: 6 },
  ),
});

type RelationSpec = typeof relation extends fc.Arbitrary<infer T> ? T : never;

function relationBytes({ oid, namespace, name, columns }: RelationSpec): Buffer {
  const number = (value: number, bytes: 2 | 4): Buffer => {
    const out = Buffer.alloc(bytes);
    if (bytes === 2) out.writeUInt16BE(value);
    else out.writeUInt32BE(value >>> 0);
    return out;
  };
  return Buffer.concat([
    number(oid, 4),
    Buffer.from(`${namespace}\0${name}\0d`),
    number(columns.length, 2),
    ...columns.flatMap((column) => [
      Buffer.from(`\u0001${column.name}\0`),
      number(column.typeOid, 4),
      number(column.typmod, 4),
    ]),
  ]);
}

const cell = fc.oneof(
  fc.record({ kind: fc.constantFrom('t', 'b'), body: fc.uint8Array({ maxLength: 20 }) }),
  fc.record({ kind: fc.constantFrom('n', 'u'), body: fc.constant(new Uint8Array()) }),
);
type Cell = typeof cell extends fc.Arbitrary<infer T> ? T : never;

function tupleBytes(cells: readonly Cell[]): Buffer {
  const parts: Buffer[] = [Buffer.from([cells.length >> 8, cells.length & 0xff])];
  for (const { kind, body } of cells) {
    parts.push(Buffer.from(kind));
    if (kind === 'n' || kind === 'u') continue;
    const length = Buffer.alloc(4);
    length.writeInt32BE(body.length);
    parts.push(length, Buffer.from(body));
  }
  return Buffer.concat(parts);
}

describe('pgoutput', () => {
  test('reads relations', () => {
    fc.assert(
      fc.property(relation, fc.nat(9), (spec, before) => {
        const bytes = Buffer.concat([
          Buffer.alloc(before),
          relationBytes(spec),
          Buffer.from('rest'),
        ]);
        expect(readRelation(bytes, before)).toEqual({ ...spec, oid: String(spec.oid) });
      }),
    );
  });

  test('reads rows, NULL and unchanged told apart', () => {
    fc.assert(
      fc.property(fc.array(cell, { maxLength: 8 }), fc.nat(9), (cells, before) => {
        const row = tupleBytes(cells);
        const bytes = Buffer.concat([Buffer.alloc(before), row, Buffer.from('next')]);
        const words = new Int32Array(cells.length * 2);
        expect(readTuple(bytes, before, words, cells.length)).toBe(before + row.length);
        for (const [index, { kind, body }] of cells.entries()) {
          const [at = 0, length = 0] = words.subarray(index * 2);
          if (kind === 'n') expect(length).toBe(-1);
          else if (kind === 'u') expect(length).toBe(-2);
          else expect(bytes.subarray(at, at + length).equals(body)).toBe(true);
        }
      }),
    );
  });

  test('a row of another width than announced is refused', () => {
    expect(() =>
      readTuple(tupleBytes([{ kind: 'n', body: new Uint8Array() }]), 0, new Int32Array(4), 2),
    ).toThrow('a row of 1 columns where 2 were announced');
  });

  /** A read of bytes that are none of ours ends, with a value or an error, and stays inside them. */
  test('mutated bytes end in a value inside the message or in an error', () => {
    const mutation = fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 6 });
    const what = fc.record({
      cells: fc.array(cell, { maxLength: 8 }),
      relation,
      mutation,
      cut: fc.nat(60),
    });
    fc.assert(
      fc.property(what, (given) => {
        const damage = (whole: Buffer): Buffer => {
          const bytes = Buffer.from(whole.subarray(0, Math.max(0, whole.length - given.cut)));
          for (const [at, byte] of given.mutation) if (at < bytes.length) bytes[at] = byte;
          return bytes;
        };
        const row = damage(tupleBytes(given.cells));
        const words = new Int32Array(given.cells.length * 2);
        const readers: (() => unknown)[] = [
          () => readRelation(damage(relationBytes(given.relation)), 0),
          () => readBegin(row, 0),
          () => readCommitEnd(row, 0),
          () => readStreamCommit(row, 0),
          () => readTruncate(row, 0),
        ];
        for (const read of readers) expectEnd(read);
        expectEnd(() => {
          const end = readTuple(row, 0, words, given.cells.length);
          // A row that is cut off may end with NULLs that are not there; no value lies outside.
          expect(end).toBeLessThanOrEqual(row.length + 2);
          for (let word = 0; word < words.length; word += 2) {
            const [at = 0, length = 0] = words.subarray(word);
            if (length < 0) expect([-1, -2]).toContain(length);
            else expect(at + length).toBeLessThanOrEqual(row.length);
          }
        });
      }),
      { numRuns: 2000 },
    );
  });
});

function expectEnd(read: () => unknown): void {
  try {
    read();
  } catch (error) {
    if (!(error instanceof ForebayError) && !(error instanceof RangeError)) throw error;
  }
}
