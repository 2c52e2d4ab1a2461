// Opens a change reader and gathers what it says, through the engine's own batcher.
import type { ChangePiece } from '../../src/core/change-event.ts';
import type { ChangeReader, Source } from '../../src/core/connector.ts';
import type { Position } from '../../src/core/position.ts';
import { OP_LETTERS } from '../../src/core/row-batch.ts';
import type { SlabPool } from '../../src/core/slab.ts';
import type { StreamSchema } from '../../src/core/stream-schema.ts';
import { Batcher } from '../../src/engine/batcher.ts';
import { batchTexts } from './batches.ts';
import { eventually } from './wait.ts';

const MIB = 1024 * 1024;

export interface SeenRow {
  readonly stream: string;
  readonly op: string;
  readonly values: readonly (string | null)[];
  readonly order: string;
  readonly event: number;
  readonly transaction: string;
}

export interface Recorder extends AsyncDisposable {
  readonly reader: ChangeReader;
  readonly rows: readonly SeenRow[];
  readonly commits: readonly Position[];
  readonly drops: readonly string[];
  /** Waits until all that was committed at the source when it was called has been seen. */
  caughtUp(): Promise<void>;
  /** Last position that everything is covered by. */
  position(): Position;
}

export async function record(
  source: Source,
  slabs: SlabPool,
  start: { pipeline: string; position: Position; streams: readonly StreamSchema[] },
): Promise<Recorder> {
  const changes = source.changes;
  if (changes === undefined) throw new TypeError('no changes');
  const batcher = new Batcher(slabs, { rows: 100, ms: 5, bytes: 64 * MIB });
  const [encoding] = changes.encodings(start.streams);
  const reader = await changes.open({ ...start, encoding: encoding ?? 'text', sink: batcher });
  const control = new AbortController();
  const rows: SeenRow[] = [];
  const commits: Position[] = [];
  const drops: string[] = [];
  let covered = start.position;
  let failure: Error | null = null;
  const running = reader.run(control.signal).catch((error: unknown) => {
    failure = error instanceof Error ? error : new Error(String(error));
  });
  const take = (piece: ChangePiece): void => {
    rows.push(...rowsOf(piece));
    for (const [stream, items] of piece.streams) {
      if (items.some(({ kind }) => kind === 'dropped')) drops.push(stream);
    }
    if (piece.commit !== null) {
      commits.push(piece.commit);
      covered = piece.commit;
    }
    batcher.release(piece);
  };
  return {
    reader,
    rows,
    commits,
    drops,
    position: () => covered,
    caughtUp: async () => {
      const goal = await changes.currentPosition();
      await eventually(
        async () => {
          if (failure !== null) return true;
          reader.poke();
          const piece = await batcher.next(20, control.signal);
          if (piece !== null) take(piece);
          const idle = batcher.idlePosition;
          if (idle !== null && changes.comparePositions(idle, covered) > 0) covered = idle;
          return changes.comparePositions(covered, goal) >= 0;
        },
        { timeoutMs: 30_000, intervalMs: 1 },
      );
      if (failure !== null) throw failure;
    },
    [Symbol.asyncDispose]: async () => {
      control.abort();
      await running;
      await reader[Symbol.asyncDispose]();
    },
  };
}

function rowsOf(piece: ChangePiece): SeenRow[] {
  return [...piece.streams].flatMap(([stream, items]) =>
    items.flatMap((item) => {
      if (item.kind !== 'rows') return [];
      const { batch } = item;
      return batchTexts(batch).map((values, row): SeenRow => {
        const mark = piece.transactions[batch.transactions[row] ?? -1];
        return {
          stream,
          op: OP_LETTERS[batch.ops[row] ?? 0] ?? '?',
          values,
          order: mark?.order ?? '',
          event: batch.events[row] ?? -1,
          transaction: mark?.ref ?? '',
        };
      });
    }),
  );
}
