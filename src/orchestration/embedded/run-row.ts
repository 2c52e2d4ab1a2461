/** Rows of runs that begin. */
import { uuidv7 } from '../../core/uuid.ts';
import type { JournalRunsTable } from '../../metadata/journal-tables.ts';
import { AT_ONCE } from './journal-commit.ts';

export function newRun(
  flow: string,
  workflowId: string,
  input: string,
  nowMs: number,
): JournalRunsTable {
  const now = new Date(nowMs).toISOString();
  return {
    id: uuidv7(nowMs),
    workflow_id: workflowId,
    flow,
    input,
    status: 'running',
    result: null,
    error: null,
    parent_run_id: null,
    parent_seq: null,
    owner: null,
    epoch: 0,
    wake_at: AT_ONCE,
    cancel_requested: 0,
    continued: 0,
    created_at: now,
    updated_at: now,
    completed_at: null,
  };
}

/** The run that takes the place of another one, with the same owner. */
export function continuationOf(
  run: JournalRunsTable,
  input: string,
  by: { readonly owner: string; readonly nowMs: number },
): JournalRunsTable {
  return {
    ...newRun(run.flow, run.workflow_id, input, by.nowMs),
    parent_run_id: run.parent_run_id,
    parent_seq: run.parent_seq,
    owner: by.owner,
    epoch: run.epoch + 1,
    wake_at: null,
    continued: run.continued + 1,
  };
}
