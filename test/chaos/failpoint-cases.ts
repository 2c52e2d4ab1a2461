// How each failpoint is reached, and why some cannot be.
import type { FailpointName } from '../../src/core/failpoint.ts';
import type { TestPipeline } from '../support/test-pipeline.ts';

export const pairs = [
  'pg-pg upsert',
  'pg-pg replace',
  'pg-pg append',
  'pg-duckdb upsert',
  'pg-duckdb append',
] as const;
export type PairName = (typeof pairs)[number];

export function loadOf(pair: PairName): 'upsert' | 'replace' | 'append' {
  return pair.endsWith('append') ? 'append' : pair.endsWith('replace') ? 'replace' : 'upsert';
}

export interface FailpointCase {
  readonly name: FailpointName;
  /** The hit at which it acts. */
  readonly at: number;
  /**
   * begin: in the first run of a new pipeline. resume: in a run of a pipeline that has caught up before.
   * recover: in a `recover` after the slot was dropped.
   */
  readonly phase: 'begin' | 'resume' | 'recover';
  /** Done at the source after the workload, so that the place is passed. */
  readonly prepare?: (pipeline: TestPipeline, turn: number) => Promise<unknown>;
}

/** More than the server keeps in memory of one transaction (64 kB, see the settings of the source). */
const largeTransaction: FailpointCase['prepare'] = (pipeline, turn) =>
  pipeline.sql(
    `insert into keyed (id, name) select i, repeat('large ', 20) from generate_series(${turn * 10_000}, ${turn * 10_000 + 1500}) i`,
  );

const changedTable: FailpointCase['prepare'] = (pipeline, turn) =>
  pipeline.sql(
    `alter table evolving add column added_${turn} int default ${turn};
     insert into evolving (id, added_${turn}) values (${1000 + turn}, null)`,
  );

const remadeTable: FailpointCase['prepare'] = async (pipeline, turn) => {
  await pipeline.sql(
    `drop table if exists remade; create table remade (id int primary key, v text);
     insert into remade select i, 'old' from generate_series(1, 20) i`,
  );
  await pipeline.catchUp();
  await pipeline.sql(
    `drop table remade; create table remade (id int primary key, v text); insert into remade values (${turn}, 'new')`,
  );
};

const newTable: FailpointCase['prepare'] = (pipeline, turn) =>
  pipeline.sql(
    `create table joined_${turn} (id int primary key, v text);
     insert into joined_${turn} select i, 'v' || i from generate_series(1, 50) i`,
  );

export const failpointCases: readonly FailpointCase[] = [
  { name: 'destination.afterEpoch', at: 1, phase: 'resume' },
  { name: 'source.afterCreateBeforeRecord', at: 1, phase: 'begin' },
  { name: 'snapshot.beforeChunk', at: 3, phase: 'begin' },
  { name: 'snapshot.insideChunk', at: 4, phase: 'begin' },
  { name: 'snapshot.afterChunk', at: 2, phase: 'begin' },
  { name: 'snapshot.beforeFinish', at: 3, phase: 'begin' },
  { name: 'snapshot.afterFinish', at: 5, phase: 'begin' },
  { name: 'changes.beforeBegin', at: 1, phase: 'resume' },
  { name: 'changes.insideTransaction', at: 1, phase: 'resume' },
  { name: 'changes.beforeCommit', at: 1, phase: 'resume' },
  { name: 'changes.afterCommit', at: 1, phase: 'resume' },
  { name: 'changes.afterAcknowledge', at: 1, phase: 'resume' },
  { name: 'changes.spill', at: 2, phase: 'resume', prepare: largeTransaction },
  { name: 'schema.beforeEvolve', at: 1, phase: 'resume', prepare: changedTable },
  { name: 'schema.afterEvolve', at: 1, phase: 'resume', prepare: changedTable },
  { name: 'resync.beforeRecord', at: 1, phase: 'resume', prepare: remadeTable },
  { name: 'resync.afterChunk', at: 1, phase: 'resume', prepare: newTable },
  { name: 'destination.write', at: 3, phase: 'resume' },
  { name: 'destination.commit', at: 1, phase: 'resume' },
  { name: 'recover.beforeRepair', at: 1, phase: 'recover' },
  { name: 'recover.afterRepair', at: 1, phase: 'recover' },
];

const ofHistory: Partial<Record<FailpointName, string>> = {
  'recover.beforeRepair': 'recover of a history appends all rows once more: nothing to compare by',
  'recover.afterRepair': 'recover of a history appends all rows once more: nothing to compare by',
};

/** Failpoints that a pair has no case for, with the reason. */
export const unreachable: Partial<Record<PairName, Partial<Record<FailpointName, string>>>> = {
  'pg-pg append': ofHistory,
  'pg-duckdb append': ofHistory,
};
