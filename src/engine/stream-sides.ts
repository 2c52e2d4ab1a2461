/** Readers of both sides of a stream, for compare. */
import type {
  DestinationSession,
  SnapshotReader,
  StreamTarget,
  TargetPlan,
} from '../core/connector.ts';
import type { RowBatch } from '../core/row-batch.ts';
import type { CellEncoding } from '../core/value.ts';
import type { StreamSides } from './compare.ts';
import { CHUNK_BYTES } from './snapshot-phase.ts';

export interface SidesOptions {
  readonly target: StreamTarget;
  readonly plan: TargetPlan;
  readonly reader: SnapshotReader;
  readonly session: Pick<DestinationSession, 'read'>;
}

/** The encoding in which the destination takes a column is the one in which both sides give equal bytes. */
function comparedEncodings(target: StreamTarget, plan: TargetPlan): readonly CellEncoding[] {
  return target.schema.columns.map((column, index) => {
    const byName = plan.columns.find((candidate) => candidate.name === column.name);
    return (byName ?? plan.columns[index])?.encoding ?? 'text';
  });
}

async function* readWhole(
  options: SidesOptions,
  encodings: readonly CellEncoding[],
): AsyncGenerator<RowBatch, void> {
  const { reader, target } = options;
  const chunks = await reader.chunks(target.schema, { previous: null, targetBytes: CHUNK_BYTES });
  for (const chunk of chunks)
    yield* reader.read(target.schema, chunk, encodings, { dropped: 'fail' });
}

export function sidesOf(
  options: SidesOptions,
  limits: Pick<StreamSides, 'slabs' | 'memoryBytes' | 'seen' | 'stop'>,
): StreamSides {
  const { target, plan, session } = options;
  const encodings = comparedEncodings(target, plan);
  return {
    ...limits,
    shape: { schema: target.schema, encodings },
    source: () => readWhole(options, encodings),
    destination: () => session.read(target, encodings),
  };
}
