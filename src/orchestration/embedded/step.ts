/** An open step of a run that is in memory, and how it is written. */
import type { JournalEntriesTable, JournalRunsTable } from '../../metadata/journal-tables.ts';
import { toFailure } from '../failure.ts';
import type { Answer, Command } from './machine.ts';
import { CANCEL_SEQ, hashOf } from './replay.ts';

export interface Step {
  readonly command: Command;
  readonly controller: AbortController;
  /** How it stands in the journal; `attempt` 0 is one that is not there yet. */
  entry: JournalEntriesTable;
  /** Of an activity: it waits for its place, or runs here. */
  performing: boolean;
}

export function newEntry(run: JournalRunsTable, command: Command): JournalEntriesTable {
  return {
    run_id: run.id,
    seq: command.seq,
    kind: command.kind,
    name: command.name,
    input_hash: hashOf(command),
    status: 'started',
    attempt: 0,
    result: null,
    error: null,
    heartbeat:
      command.options.lastHeartbeat === undefined
        ? null
        : JSON.stringify(command.options.lastHeartbeat),
    due_at: null,
    delivered: null,
    updated_at: run.created_at,
  };
}

export function ended(
  entry: JournalEntriesTable,
  answer: Answer,
  at: { readonly delivered: number; readonly nowMs: number },
): JournalEntriesTable {
  return {
    ...entry,
    status: answer.ok ? 'completed' : 'failed',
    attempt: Math.max(1, entry.attempt),
    result: answer.ok ? JSON.stringify(answer.result) : null,
    error: answer.ok ? null : JSON.stringify(answer.failure),
    delivered: at.delivered,
    updated_at: new Date(at.nowMs).toISOString(),
  };
}

export function failed(error: unknown, entry?: JournalEntriesTable): Answer {
  const heartbeat = entry?.heartbeat ?? null;
  return {
    ok: false,
    failure: toFailure(error, heartbeat === null ? null : JSON.parse(heartbeat)),
  };
}

/** When a step that waits is over by itself. */
export function dueMs({ entry }: Step): number | null {
  return entry.due_at === null ? null : Date.parse(entry.due_at);
}

export function earliest(steps: Iterable<Step>): number | null {
  const due = [...steps].map(dueMs).filter((ms) => ms !== null);
  return due.length === 0 ? null : Math.min(...due);
}

/** That the flow was told to end, among the ends of its steps. */
export function cancelEntry(
  run: JournalRunsTable,
  at: { readonly delivered: number; readonly nowMs: number },
): JournalEntriesTable {
  return {
    run_id: run.id,
    seq: CANCEL_SEQ,
    kind: 'cancel',
    name: '',
    input_hash: '',
    status: 'completed',
    attempt: 1,
    result: null,
    error: null,
    heartbeat: null,
    due_at: null,
    delivered: at.delivered,
    updated_at: new Date(at.nowMs).toISOString(),
  };
}
