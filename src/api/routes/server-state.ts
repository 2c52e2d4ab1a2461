/** What probes and scrapers ask. */
import { openRoute, readRoute, type Route } from '../route.ts';
import { liveSchema, readySchema } from '../schemas/operations.ts';

const TAG = 'Server';
const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export const serverStateRoutes: readonly Route[] = [
  openRoute({
    method: 'GET',
    path: '/livez',
    operation: 'getLiveness',
    summary: 'Whether the process answers.',
    tag: TAG,
    replies: { 200: liveSchema },
    handle: () => Promise.resolve({ status: 200, body: { status: 'ok' } }),
  }),
  openRoute({
    method: 'GET',
    path: '/readyz',
    operation: 'getReadiness',
    summary: 'Whether requests can be done.',
    tag: TAG,
    replies: { 200: readySchema, 503: readySchema },
    handle: async ({ context }) => {
      const { checks } = await context.services.readiness();
      const isReady = Object.values(checks).every(Boolean);
      const named = Object.entries(checks).map(([name, ok]) => [name, ok ? 'ok' : 'failed']);
      const body = { status: isReady ? 'ok' : 'failed', checks: Object.fromEntries(named) };
      return { status: isReady ? 200 : 503, body };
    },
  }),
  readRoute({
    path: '/metrics',
    operation: 'getMetrics',
    summary: "Metrics in Prometheus' text format.",
    tag: TAG,
    permission: 'read',
    replies: { 200: METRICS_TYPE },
    handle: async ({ context, caller }) => {
      const content = await context.services.metrics(caller.scope);
      return { status: 200, text: { type: METRICS_TYPE, content } };
    },
  }),
];
