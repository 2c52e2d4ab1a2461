/** Tables of the embedded engine. */
import type { Generated } from 'kysely';
import type { Flag, Json, Time } from './column-types.ts';

export type RunStatus =
  | 'running'
  | 'completed'
  | 'failed'
  | 'cancelled'
  /** What the flow does and what the journal says differ: somebody has to look. */
  | 'parked';

/** One run of a flow in the embedded engine. */
export interface JournalRunsTable {
  id: string;
  workflow_id: string;
  flow: string;
  input: Json;
  status: RunStatus;
  result: Json | null;
  error: Json | null;
  parent_run_id: string | null;
  parent_seq: number | null;
  /** The engine that has it in memory; none while it only waits. */
  owner: string | null;
  /** Grows with each owner. */
  epoch: number;
  /** When somebody must look at it: a timer is due, a signal or the end of a child has come. */
  wake_at: Time | null;
  cancel_requested: Flag;
  /** Runs of the same workflow that continued as this one. */
  continued: number;
  created_at: Time;
  updated_at: Time;
  completed_at: Time | null;
}

/** Engines that live. Whoever sees that one beats no longer takes its runs. */
export interface JournalEnginesTable {
  id: string;
  beats: number;
  started_at: Time;
}

export interface JournalEntriesTable {
  run_id: string;
  /** In the order in which the flow asked, from 1; 0 is its cancellation; below are marks of versions. */
  seq: number;
  kind: string;
  name: string;
  input_hash: string;
  status: 'started' | 'completed' | 'failed';
  attempt: number;
  result: Json | null;
  error: Json | null;
  heartbeat: Json | null;
  /** Of timers and waits. */
  due_at: Time | null;
  /** The place of its end among all that the flow saw; null while it is open. */
  delivered: number | null;
  updated_at: Time;
}

export interface JournalSignalsTable {
  id: Generated<number>;
  workflow_id: string;
  /** A signal that is sent again under the same id is the same. */
  signal_id: string;
  name: string;
  payload: Json;
  run_id: string | null;
  seq: number | null;
  created_at: Time;
}
