/**
 * Named places where a test can make the process die, fail, hang or slow down. They are part of the product
 * and do nothing unless FOREBAY_FAILPOINTS is set: `name=action@n` separated by commas, action one of
 * kill, throw, hang, delay, enospc; `@n` (default 1) is the hit at which it acts. `delay` takes
 * milliseconds: `delay(200)` and acts from the n-th hit on.
 */
import { ForebayError } from './errors.ts';

export const FAILPOINTS = {
  'source.afterCreateBeforeRecord':
    'slot and snapshot exist, nothing is recorded at the destination',
  'snapshot.beforeChunk': 'a chunk is about to be read',
  'snapshot.insideChunk': 'rows of a chunk are at the destination, uncommitted',
  'snapshot.afterChunk': 'a chunk and its record are committed',
  'snapshot.beforeFinish': 'all chunks of a stream are loaded, keys are not made',
  'snapshot.afterFinish': 'a stream is finished, the change stream has not begun',
  'changes.beforeBegin': 'a piece is decoded, no transaction is open at the destination',
  'changes.insideTransaction': 'rows of a piece are written, uncommitted',
  'changes.beforeCommit': 'all rows of a set are written, the checkpoint is about to be committed',
  'changes.afterCommit': 'the checkpoint is committed, the source is not yet acknowledged',
  'changes.afterAcknowledge': 'the source has been acknowledged',
  'changes.spill': 'part of an in-progress transaction is about to be spilled to disk',
  'schema.beforeEvolve': 'a schema change was seen, the destination table is as before',
  'schema.afterEvolve': 'the destination table is changed, uncommitted',
  'resync.beforeRecord':
    'rows of a table that is to be read again are removed, which is not recorded yet',
  'resync.afterChunk': 'a chunk of a stream added to a running pipeline is committed',
  'destination.afterEpoch': 'the run has taken its epoch and read the state, nothing else is done',
  'destination.write': 'a batch is about to be sent to the destination',
  'destination.commit': 'the destination is about to commit',
  'recover.beforeRepair': 'source and destination are compared, nothing is repaired',
  'bronze.beforeNotes': 'all rows of an execution are in bronze, and nothing says so yet',
  'bronze.afterCursors':
    'where the streams of an execution go on is written down, its step has not ended',
  'letters.beforeIndex':
    'dead letters are committed at the destination, the index does not know them yet',
  'letters.insideIndex': 'dead letters are in the index, uncommitted',
  'letters.afterIndex': 'dead letters are in the index and counted',
  'journal.beforeCommit': 'steps of flows are about to be written to the journal',
  'journal.insideTransaction': 'steps of flows are in the journal, uncommitted',
  'journal.afterCommit': 'steps of flows are committed, the flows do not know it yet',
  'recover.afterRepair': 'differences are repaired, the new position is not recorded',
} as const;

export type FailpointName = keyof typeof FAILPOINTS;

type Action = { kind: 'kill' | 'throw' | 'hang' | 'enospc' } | { kind: 'delay'; ms: number };

interface Armed {
  readonly action: Action;
  readonly at: number;
  hits: number;
}

function parseAction(text: string): Action | null {
  const delay = /^delay(?:\((\d+)\))?$/.exec(text);
  if (delay) return { kind: 'delay', ms: Number(delay[1] ?? 1000) };
  if (text === 'kill' || text === 'throw' || text === 'hang' || text === 'enospc') {
    return { kind: text };
  }
  return null;
}

/** Reads the variable's text; anything unknown is an error, because a failpoint that is not hit proves nothing. */
export function parseFailpoints(text: string): Map<FailpointName, Armed> {
  const armed = new Map<FailpointName, Armed>();
  for (const part of text.split(',').map((piece) => piece.trim())) {
    if (part === '') continue;
    const match = /^([\w.]+)=([\w()]+)(?:@(\d+))?$/.exec(part);
    const name = match?.[1];
    const action = parseAction(match?.[2] ?? '');
    if (name === undefined || action === null || !(name in FAILPOINTS)) {
      throw new ForebayError('usage', {
        message: `FOREBAY_FAILPOINTS: cannot read ${JSON.stringify(part)}`,
        fix: 'Write name=action@n; `forebay failpoints` lists the names.',
      });
    }
    armed.set(name as FailpointName, { action, at: Number(match?.[3] ?? 1), hits: 0 });
  }
  return armed;
}

const armed = parseFailpoints(process.env['FOREBAY_FAILPOINTS'] ?? '');

/** Whether any is set: hot paths ask this before they await. */
export const failpointsArmed: boolean = armed.size > 0;

function perform(action: Action, name: FailpointName): Promise<void> {
  switch (action.kind) {
    case 'kill':
      process.kill(process.pid, 'SIGKILL');
      return new Promise(() => {});
    case 'throw':
      throw new ForebayError('failpoint', { message: `failpoint ${name}` });
    case 'enospc':
      throw new ForebayError('disk_full', { message: `failpoint ${name}`, why: 'ENOSPC' });
    case 'hang':
      // Tells whoever watches that it is here, in the form of an event of --json.
      process.stderr.write(
        `${JSON.stringify({ v: 1, event: 'failpoint', at: new Date().toISOString(), name, action: 'hang' })}\n`,
      );
      // Holds the event loop open, so that the process stays until it is killed.
      return new Promise(() => setInterval(() => {}, 60_000));
    case 'delay':
      return new Promise((resolve) => setTimeout(resolve, action.ms));
  }
}

export async function failpoint(name: FailpointName): Promise<void> {
  if (!failpointsArmed) return;
  const point = armed.get(name);
  if (point === undefined) return;
  point.hits += 1;
  const acts = point.action.kind === 'delay' ? point.hits >= point.at : point.hits === point.at;
  if (acts) await perform(point.action, name);
}
