import type { Route } from '../route.ts';
import { accessRoutes } from './access.ts';
import { benthosRoutes } from './benthos-configurations.ts';
import { connectionRoutes } from './connections.ts';
import { deadLetterRoutes } from './dead-letters.ts';
import { executionRoutes } from './executions.ts';
import { newOrganizationRoutes } from './new-organization.ts';
import { onboardingRoutes } from './onboarding.ts';
import { operationRoutes } from './operations.ts';
import { pipelineRunRoutes } from './pipeline-runs.ts';
import { pipelineRoutes } from './pipelines.ts';
import { qualityRoutes } from './quality.ts';
import { referenceRoutes } from './reference.ts';
import { scheduleRoutes } from './schedules.ts';
import { serverStateRoutes } from './server-state.ts';
import { sessionRoutes } from './session.ts';

export const ROUTES: readonly Route[] = [
  ...connectionRoutes,
  ...pipelineRoutes,
  ...pipelineRunRoutes,
  ...executionRoutes,
  ...qualityRoutes,
  ...scheduleRoutes,
  ...onboardingRoutes,
  ...deadLetterRoutes,
  ...operationRoutes,
  ...benthosRoutes,
  ...accessRoutes,
  ...newOrganizationRoutes,
  ...sessionRoutes,
  ...serverStateRoutes,
  ...referenceRoutes(() => ROUTES),
];
