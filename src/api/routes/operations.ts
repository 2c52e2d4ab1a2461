/** Dead letters, events, models. */
import { z } from 'zod';
import { findDeadLetter, listDeadLetters } from '../../metadata/dead-letters.ts';
import { lastEventId, readEvents } from '../../metadata/events-outbox.ts';
import type { DeadLettersTable } from '../../metadata/tables.ts';
import { toCloudEvent } from '../../service/events/cloud-event.ts';
import { cursorAt, listed, pageOf } from '../page.ts';
import { notFound } from '../problem.ts';
import { type Call, type Feed, readRoute, type Route } from '../route.ts';
import { idParams, pageQuery, storedId } from '../schemas/fields.ts';
import {
  deadLetterListSchema,
  deadLetterSchema,
  deadLettersQuery,
  eventListSchema,
  modelListSchema,
} from '../schemas/operations.ts';

const FEED_EVENTS = 200;

function letterView(row: DeadLettersTable): Record<string, unknown> {
  const { organization_id: _, ...rest } = row;
  return rest;
}

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
    path: '/api/v1/dead-letters',
    operation: 'listDeadLetters',
    summary: 'Rows that were refused, newest first. The rows themselves are at the destination.',
    tag: 'Dead letters',
    permission: 'read',
    query: deadLettersQuery,
    replies: { 200: deadLetterListSchema },
    handle: async (call) => {
      const { context, caller, query } = call;
      const filter = {
        pipelineId: query.pipeline_id,
        resolved: query.resolved === undefined ? undefined : query.resolved === 'true',
      };
      const page = pageOf('dead-letters', call);
      const found = await listDeadLetters(context.db, caller.scope, filter, page);
      const { rows, nextCursor } = listed('dead-letters', call, found);
      return { status: 200, body: { dead_letters: rows.map(letterView), next_cursor: nextCursor } };
    },
  }),
  readRoute({
    path: '/api/v1/dead-letters/{id}',
    operation: 'getDeadLetter',
    summary: 'One dead letter.',
    tag: 'Dead letters',
    permission: 'read',
    params: idParams,
    replies: { 200: deadLetterSchema },
    handle: async ({ context, caller, params }) => {
      const id = storedId(params.id);
      const row = id === null ? null : await findDeadLetter(context.db, caller.scope, id);
      if (row === null) throw notFound('dead letter');
      return { status: 200, body: letterView(row) };
    },
  }),
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
    replies: { 200: modelListSchema },
    failures: ['model_invalid'],
    handle: async ({ context, caller }) => {
      const found = await context.services.models(caller.scope);
      const models = found.map(({ dependsOn, ...model }) => ({ ...model, depends_on: dependsOn }));
      return { status: 200, body: { models, next_cursor: null } };
    },
  }),
];
