/** What a run in memory needs of the engine that owns it. */
import type { JournalRunsTable } from '../../metadata/journal-tables.ts';
import type { ActivityMap, FlowMap } from '../flow.ts';
import type { Journal, JournalWrite, WriteResult } from './journal-commit.ts';
import type { LiveRun } from './live-run.ts';
import type { Slots } from './slots.ts';

export type Closing =
  | { readonly kind: 'ended' | 'lost' }
  | { readonly kind: 'continued'; readonly next: JournalRunsTable }
  /** Whether somebody wanted it looked at while it was let go. */
  | { readonly kind: 'released'; readonly lookAgain: boolean };

export interface RunHost {
  readonly flows: FlowMap;
  readonly activities: ActivityMap;
  readonly slots: Slots;
  readonly activityTimeoutMs: number;
  readonly graceMs: number;
  readonly heartbeatWriteMs: number;
  journal(): Journal;
  commit(write: JournalWrite): Promise<WriteResult>;
  /** There may be runs that can begin. */
  wake(): void;
  /** Asks what is new for a run; it hears of it. */
  look(run: LiveRun): void;
  /** Something came to rest. */
  settled(run: LiveRun): void;
  closed(run: LiveRun, how: Closing): void;
  onFault(error: unknown, run: LiveRun): void;
}
