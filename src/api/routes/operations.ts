/** Events, models. */
import { z } from 'zod';
import { lastEventId, readEvents } from '../../metadata/events-outbox.ts';
import { toCloudEvent } from '../../service/events/cloud-event.ts';
import { cursorAt, listedOf, pageOf } from '../page.ts';
import { type Call, type Feed, readRoute, type Route } from '../route.ts';
import { pageQuery } from '../schemas/fields.ts';
import { eventListSchema, modelListSchema } from '../schemas/operations.ts';

const FEED_EVENTS = 200;

/** Without a last event: what comes from now on. */
async function eventFeed({ context, caller }: Call<unknown, unknown, unknown>): Promise<Feed> {
  const start = await lastEventId(context.db, caller.scope);
  return {
    next: async (after) => {
      const page = { after: after === null ? start : Number(after), limit: FEED_EVENTS };
      const rows = await readEvents(context.db, caller.scope, page);
      const events = rows.map((row) => ({
        id: String(row.id),
        event: row.type,
        data: toCloudEvent(row),
      }));
      return { events, ended: false };
    },
  };
}

export const operationRoutes: readonly Route[] = [
  readRoute({
    path: '/api/v1/events',
    operation: 'listEvents',
    summary: 'CloudEvents, oldest first; those to come where text/event-stream is accepted.',
    tag: 'Events',
    permission: 'read',
    query: z.strictObject(pageQuery),
    replies: { 200: eventListSchema },
    handle: async (call) => {
      const { context, caller, query } = call;
      const { after, limit } = pageOf('events', call);
      const found = await readEvents(context.db, caller.scope, {
        after: Number(after?.id ?? 0),
        limit,
      });
      const rows = found.slice(0, query.limit);
      const last = found.length > rows.length ? rows.at(-1) : undefined;
      const next = last === undefined ? null : { sort: '', id: String(last.id) };
      const next_cursor = cursorAt('events', call, next);
      return { status: 200, body: { events: rows.map(toCloudEvent), next_cursor } };
    },
    feed: eventFeed,
  }),
  readRoute({
    path: '/api/v1/models',
    operation: 'listModels',
    summary: 'Gold models, as their files say.',
    tag: 'Models',
    permission: 'read',
    query: z.strictObject(pageQuery),
    replies: { 200: modelListSchema },
    failures: ['model_invalid'],
    handle: async (call) => {
      const found = await call.context.services.models(call.caller.scope);
      const { rows, nextCursor } = listedOf('models', call, found, ({ name }) => name);
      const models = rows.map(({ dependsOn, ...model }) => ({ ...model, depends_on: dependsOn }));
      return { status: 200, body: { models, next_cursor: nextCursor } };
    },
  }),
];
