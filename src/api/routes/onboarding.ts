/** A flow that makes, checks and joins two connections. */
import { z } from 'zod';
import { splitConfig } from '../connection-config.ts';
import { bodyHash, readIdempotencyKey } from '../idempotency.ts';
import { notFound } from '../problem.ts';
import { changeRoute, readRoute, type Route } from '../route.ts';
import { connectorTypeOf } from '../schemas/connectors.ts';
import { type OnboardingInput, onboardingInput, onboardingSchema } from '../schemas/onboarding.ts';

const PATH = '/api/v1/onboarding';
const TAG = 'Onboarding';

/** What is wrong with the fields of a connection is told now, and not by the flow later. */
function assertConfigured({ connector_type: type, config }: OnboardingInput['source']): void {
  splitConfig(connectorTypeOf(type), config, new Set());
}

const start = changeRoute({
  method: 'POST',
  path: PATH,
  operation: 'startOnboarding',
  summary: 'Makes two connections, tests them, finds their streams, and makes the first pipeline.',
  tag: TAG,
  permission: 'edit',
  body: onboardingInput,
  example: {
    source: {
      name: 'shop',
      connector_type: 'postgres',
      config: { host: 'db.example.com', database: 'shop', user: 'reader', password: '...' },
    },
    destination: {
      name: 'warehouse',
      connector_type: 'duckdb',
      config: { path: 'warehouse.duckdb' },
    },
    pipeline: 'Shop',
  },
  replies: { 202: onboardingSchema },
  failures: ['orchestrator_unreachable'],
  prepare: async ({ context, caller, body, headers }) => {
    assertConfigured(body.source);
    assertConfigured(body.destination);
    const key = readIdempotencyKey(headers);
    const hash = key === null ? null : bodyHash(context.signingKey, { key, body });
    return context.services.startOnboarding(caller.scope, body, hash);
  },
  change: async (_call, _transaction, onboarding) => {
    const { workflow_id: id } = onboarding;
    return {
      status: 202,
      body: onboarding,
      headers: { location: `${PATH}/${id}` },
      audit: { action: 'onboarding.start', resourceType: 'onboarding', resourceId: id },
    };
  },
});

const show = readRoute({
  path: `${PATH}/{id}`,
  operation: 'getOnboarding',
  summary: 'How far it has come.',
  tag: TAG,
  permission: 'read',
  params: z.object({
    id: z.string().max(200).meta({ description: 'As it was answered.' }),
  }),
  replies: { 200: onboardingSchema },
  failures: ['not_found', 'orchestrator_unreachable'],
  handle: async ({ context, caller, params }) => {
    const found = await context.services.onboarding(caller.scope, params.id);
    if (found === null) throw notFound('onboarding');
    return { status: 200, body: found };
  },
});

export const onboardingRoutes: readonly Route[] = [start, show];
