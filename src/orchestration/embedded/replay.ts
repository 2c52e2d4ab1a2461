/** Brings a flow back to where its journal ends, and finds out when it does something else than the journal tells. */
import { createHash } from 'node:crypto';
import { ForebayError } from '../../core/errors.ts';
import type { JournalEntriesTable, JournalRunsTable } from '../../metadata/journal-tables.ts';
import { failureSchema } from '../failure.ts';
import type { FlowMap } from '../flow.ts';
import { fromPayload } from '../payload.ts';
import { type Answer, type Command, FlowMachine } from './machine.ts';

export const CANCEL_SEQ = 0;

export interface Replay {
  readonly machine: FlowMachine;
  /** What the flow asked and nobody acted on yet; the list is empty afterwards. */
  takeCommands(): readonly Command[];
  /** Marks of versions that are not in the journal yet; the list is empty afterwards. */
  takeMarks(): readonly JournalEntriesTable[];
  /** Of a step that is in the journal and has not ended. */
  openEntry(seq: number): JournalEntriesTable | null;
  /** Ends that the flow saw. */
  readonly delivered: number;
  divergence(): ForebayError | null;
}

interface Recorded {
  readonly bySeq: Map<number, JournalEntriesTable>;
  readonly ends: readonly JournalEntriesTable[];
  readonly marks: ReadonlySet<string>;
  readonly last: number;
}

function sort(entries: readonly JournalEntriesTable[]): Recorded {
  const ends = entries
    .filter(({ delivered }) => delivered !== null)
    .toSorted((one, other) => (one.delivered ?? 0) - (other.delivered ?? 0));
  return {
    bySeq: new Map(entries.map((entry) => [entry.seq, entry])),
    ends,
    marks: new Set(entries.filter(({ kind }) => kind === 'version').map(({ name }) => name)),
    last: Math.max(0, ...entries.map(({ seq }) => seq)),
  };
}

export function hashOf({ input, waitMs, workflowId }: Command): string {
  return createHash('sha256')
    .update(JSON.stringify([input, waitMs, workflowId]))
    .digest('base64url');
}

export function answerOf({ status, result, error }: JournalEntriesTable): Answer {
  return status === 'failed'
    ? { ok: false, failure: failureSchema.parse(fromPayload(error ?? '{}')) }
    : { ok: true, result: fromPayload(result ?? 'null') };
}

function diverged(flow: string, seq: number, why: string): ForebayError {
  return new ForebayError('flow_diverged', {
    message: `flow ${flow} differs from its journal at step ${seq}`,
    why,
  });
}

function difference(command: Command, entry: JournalEntriesTable): string | null {
  const { kind, name } = command;
  if (entry.kind !== kind || entry.name !== name)
    return `it asks for ${kind} ${name}, the journal has ${entry.kind} ${entry.name}`;
  return entry.input_hash === hashOf(command) ? null : `${kind} ${name} has another input`;
}

export async function replay(
  flow: FlowMap[string],
  run: JournalRunsTable,
  entries: readonly JournalEntriesTable[],
): Promise<Replay> {
  const recorded = sort(entries);
  const commands: Command[] = [];
  const marks: JournalEntriesTable[] = [];
  let seen = 0;
  let markCount = recorded.marks.size;
  let divergence: ForebayError | null = null;
  const machine: FlowMachine = new FlowMachine({
    flow,
    input: fromPayload(run.input),
    workflowId: run.workflow_id,
    runId: run.id,
    startedAtMs: Date.parse(run.created_at),
    onCommand: (command) => {
      const entry = recorded.bySeq.get(command.seq);
      const why = entry === undefined ? null : difference(command, entry);
      if (why !== null) divergence ??= diverged(run.flow, command.seq, why);
      if (entry?.delivered == null) commands.push(command);
    },
    onVersion: (id) => {
      if (recorded.marks.has(id)) return 1;
      const isPast = seen < recorded.ends.length || machine.asked < recorded.last;
      if (isPast) return 0;
      marks.push(mark(run, id, (markCount += 1)));
      return 1;
    },
  });
  await machine.start();
  for (const end of recorded.ends) {
    if (divergence !== null || machine.ending !== null) break;
    seen += 1;
    divergence = await deliverRecorded(machine, run, end);
  }
  if (
    divergence === null &&
    machine.asked < recorded.last &&
    machine.ending?.kind !== 'cancelled'
  ) {
    const left = recorded.bySeq.get(machine.asked + 1);
    const why = `the journal has ${left?.kind} ${left?.name}, the flow asks for nothing`;
    divergence = diverged(run.flow, machine.asked + 1, why);
  }
  return {
    machine,
    takeCommands: () => commands.splice(0),
    takeMarks: () => marks.splice(0),
    openEntry: (seq) => {
      const entry = recorded.bySeq.get(seq);
      return entry?.delivered === null ? entry : null;
    },
    delivered: recorded.ends.length,
    divergence: () => divergence,
  };
}

async function deliverRecorded(
  machine: FlowMachine,
  run: JournalRunsTable,
  end: JournalEntriesTable,
): Promise<ForebayError | null> {
  const atMs = Date.parse(end.updated_at);
  if (end.seq === CANCEL_SEQ) {
    await machine.cancel(atMs);
    return null;
  }
  // What a cancelled flow no longer waited for was delivered to nobody then, too.
  if (!machine.waitsFor(end.seq) && !machine.cancelled)
    return diverged(run.flow, end.seq, `the flow does not ask for ${end.kind} ${end.name}`);
  await machine.deliver(end.seq, answerOf(end), atMs);
  return null;
}

function mark(run: JournalRunsTable, id: string, count: number): JournalEntriesTable {
  return {
    run_id: run.id,
    seq: -count,
    kind: 'version',
    name: id,
    input_hash: '',
    status: 'completed',
    attempt: 1,
    result: '1',
    error: null,
    heartbeat: null,
    due_at: null,
    delivered: null,
    updated_at: run.created_at,
  };
}
