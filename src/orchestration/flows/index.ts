/** All flows under the names that executions and histories have. */
import type { FlowMap } from '../flow.ts';
import { BackfillWorkflow } from './backfill.ts';
import { DataIngestionWorkflow, DataSourceSyncWorkflow, ETLWorkflow } from './etl.ts';
import { OnboardingWorkflow } from './onboarding.ts';
import { ReplicationWorkflow } from './replication.ts';

export const FLOWS = {
  ETLWorkflow,
  DataIngestionWorkflow,
  DataSourceSyncWorkflow,
  BackfillWorkflow,
  ReplicationWorkflow,
  OnboardingWorkflow,
} as const satisfies FlowMap;

export type FlowName = keyof typeof FLOWS;
