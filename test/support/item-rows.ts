// A table of items at a destination, for the tests that every connector passes.
import type { DestinationSession, StreamTarget } from '../../src/core/connector.ts';
import { OP_DELETE } from '../../src/core/row-batch.ts';
import {
  batchTexts,
  type BatchRow,
  encodingsOf,
  rowBatch,
  streamSchema,
  streamTarget,
} from './batches.ts';
import type { Subject } from './conformance.ts';
import { chunkOf } from './duckdb-fixture.ts';

export const items = streamSchema(
  { id: { kind: 'int', bits: 32 }, name: { kind: 'text' }, big: { kind: 'text' } },
  { name: 'items' },
);
export const mark = (order: string) => ({
  order,
  committedAtMicros: 1_700_000_000_123_456n,
  ref: '1',
});
export const values = (id: number, name: string | null, big: string | null = null): BatchRow => ({
  values: [String(id), name, big],
});
export const byId = (a: readonly (string | null)[], b: readonly (string | null)[]): number =>
  Number(a[0]) - Number(b[0]);
export const gone = (id: number): BatchRow => ({
  op: OP_DELETE,
  values: [String(id), undefined, undefined],
});

export async function opened(
  subject: Subject,
  options: Partial<Pick<StreamTarget, 'load' | 'deletes'>>,
  { schema = items, pipeline = 'p' } = {},
): Promise<{ session: DestinationSession; target: StreamTarget }> {
  const target = streamTarget(schema, options);
  const session = await (await subject.destination()).openSession(pipeline);
  await session.prepare(target);
  return { session, target };
}

export async function contents(
  session: DestinationSession,
  target: StreamTarget,
): Promise<(string | null)[][]> {
  const rows: (string | null)[][] = [];
  for await (const batch of session.read(target, encodingsOf(target.schema, 'text')))
    rows.push(...batchTexts(batch));
  return rows.toSorted(byId);
}

export async function loadSnapshot(
  session: DestinationSession,
  target: StreamTarget,
  rows: readonly BatchRow[],
) {
  const result = await session.loadChunk(
    target,
    { id: 'c1', merge: false, order: '0000' },
    chunkOf(rowBatch(target.schema, rows)),
  );
  await session.finishSnapshot(target);
  return result;
}

export const START = [values(1, 'a', 'kept'), values(2, 'b', 'x'), values(3, 'c', 'y')];
