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
export function comparedEncodings(target: StreamTarget, plan: TargetPlan): readonly CellEncoding[] {
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

/**
 * The keys of both sides alone, where the source can leave out the rest; else whole rows, of which whoever asks for
 * keys looks at no more. For streams that have a key.
 */
export function keySidesOf(
  options: SidesOptions & { readonly projects: boolean },
  limits: Pick<StreamSides, 'slabs' | 'memoryBytes' | 'seen' | 'stop'>,
): StreamSides {
  const { target, plan, session, reader } = options;
  if (!options.projects) return sidesOf(options, limits);
  const { schema } = target;
  const columns = schema.key.flatMap((index) => schema.columns[index] ?? []);
  const keys = { ...schema, columns, key: columns.map((_, index) => index) };
  const all = comparedEncodings(target, plan);
  const encodings = schema.key.map((index) => all[index] ?? 'text');
  const projection = {
    schema: keys,
    columns: schema.key.map((column) => ({ kind: 'column' as const, column })),
    where: null,
  };
  const source = async function* (): AsyncGenerator<RowBatch, void> {
    const chunks = await reader.chunks(schema, { previous: null, targetBytes: CHUNK_BYTES });
    for (const chunk of chunks)
      yield* reader.read(schema, chunk, encodings, { dropped: 'fail', projection });
  };
  return {
    ...limits,
    shape: { schema: keys, encodings },
    source,
    destination: () => session.read({ ...target, schema: keys }, encodings),
  };
}
