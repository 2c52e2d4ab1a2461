// A PostgreSQL destination on a test server, and what its calls take.
import { openPostgresDestination } from '../../src/connectors/postgres/destination.ts';
import { parsePostgresUrl } from '../../src/connectors/postgres/config.ts';
import type { Checkpoint } from '../../src/core/checkpoint.ts';
import type {
  ConnectorContext,
  Destination,
  DestinationSession,
  StreamTarget,
} from '../../src/core/connector.ts';
import { SlabPool } from '../../src/core/slab.ts';
import { streamId, type StreamSchema } from '../../src/core/stream-schema.ts';

import { column, makeBatch, makeSchema, streamOf } from './row-specs.ts';

const MIB = 1024 * 1024;

export function testContext(notices: string[] = []): ConnectorContext {
  return {
    signal: new AbortController().signal,
    slabs: new SlabPool(16 * MIB),
    memoryBytes: 64 * MIB,
    options: {},
    notice: (event) => notices.push(event),
  };
}

export function openDestination(url: string, context = testContext()): Promise<Destination> {
  return openPostgresDestination(parsePostgresUrl(url), context);
}

export function targetOf(schema: StreamSchema, over: Partial<StreamTarget> = {}): StreamTarget {
  const { stream } = schema;
  return { id: streamId(stream), schema, table: stream, load: 'upsert', deletes: 'hard', ...over };
}

export function checkpointAt(position: string): Checkpoint {
  return { position, source: { system: 'test', facts: { id: '1' } }, accounts: {} };
}

/** Begins, acts and commits at a position. */
export async function writeAt<T>(
  session: DestinationSession,
  position: string,
  act: () => Promise<T>,
): Promise<T> {
  await session.begin();
  const result = await act();
  await session.commit(checkpointAt(position), []);
  return result;
}

export const items = makeSchema({
  name: 'items',
  columns: [
    column('id', 'integer', { kind: 'int', bits: 32 }),
    column('name', 'text', { kind: 'text' }),
  ],
  key: ['id'],
});

/** Rows `(id, 'n<id>')` of the items. */
export function chunkOf(...ids: number[]) {
  const batch = makeBatch(
    items,
    'binary',
    ids.map((id) => ({ cells: [id, `n${id}`] })),
  );
  return { kind: 'batches', batches: streamOf(batch) } as const;
}

export const plain = (id: string) => ({ id, merge: false, order: '0' });
export const merged = (id: string) => ({ id, merge: true, order: '0' });
