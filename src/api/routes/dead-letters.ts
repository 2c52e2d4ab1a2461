import { asForebayError } from '../../core/errors.ts';
import { deadLettersById, findDeadLetter, listDeadLetters } from '../../metadata/dead-letters.ts';
import { findPipeline } from '../../metadata/pipelines.ts';
import type { DeadLettersTable, PipelinesTable } from '../../metadata/tables.ts';
import { listed, pageOf } from '../page.ts';
import { notFound, upstreamError } from '../problem.ts';
import {
  type Audit,
  type Call,
  type Caller,
  changeRoute,
  mayDo,
  readRoute,
  type Route,
} from '../route.ts';
import type { LetterChoice } from '../services.ts';
import {
  type DeadLetterDetail,
  deadLetterDetailSchema,
  deadLetterListSchema,
  deadLettersQuery,
  droppedSchema,
  letterChoice,
  replayedSchema,
} from '../schemas/dead-letters.ts';
import { idParams, storedId } from '../schemas/fields.ts';

const PATH = '/api/v1/dead-letters';
const TAG = 'Dead letters';
/** Each letter is a transaction of the destination. */
const CHANGE_MS = 1_800_000;
/** A destination that is away keeps nobody from seeing what the index knows. */
const PAYLOAD_MS = 10_000;

function letterView(row: DeadLettersTable): Omit<DeadLettersTable, 'organization_id'> {
  const { organization_id: _, ...rest } = row;
  return rest;
}

type Payload = Pick<
  DeadLetterDetail,
  'op' | 'position' | 'payload' | 'payload_state' | 'payload_error'
>;

const without = (state: Payload['payload_state'], error: string | null = null): Payload => ({
  op: null,
  position: null,
  payload: null,
  payload_state: state,
  payload_error: error,
});

/** What the index knows is answered whatever becomes of the payload. */
async function payloadOf(
  { context, caller, signal }: Call<unknown, unknown, unknown>,
  row: DeadLettersTable,
): Promise<Payload> {
  if (!mayDo(caller.role, 'operate')) return without('withheld');
  const given = signal();
  const patience = AbortSignal.any([given, AbortSignal.timeout(PAYLOAD_MS)]);
  try {
    const letter = await context.services.readDeadLetter(caller.scope, row, patience);
    if (letter === null) return without('removed');
    const { op, position, payload } = letter;
    return { op, position, payload: { ...payload }, payload_state: 'shown', payload_error: null };
  } catch (error) {
    given.throwIfAborted();
    if (patience.aborted) return without('unavailable', 'timeout');
    const failure = asForebayError(error);
    if (failure.class === 'bug') throw failure;
    return without('unavailable', failure.code);
  }
}

type Choosing = Call<unknown, unknown, ReturnType<typeof letterChoice.parse>>;

interface Chosen {
  readonly pipeline: PipelinesTable;
  readonly choice: LetterChoice;
}

async function chosen({ context, caller, body, signal }: Choosing): Promise<Chosen> {
  const { db } = context;
  const pipeline = await findPipeline(db, caller.scope, body.pipeline_id);
  if (pipeline === null) throw notFound('pipeline');
  const stream = body.stream ?? null;
  const choice = { stream, letters: null, signal: signal() };
  if (body.ids === undefined) return { pipeline, choice };
  const ids = [...new Set(body.ids)];
  const found = await deadLettersById(db, caller.scope, pipeline.id, ids);
  const byId = new Map(found.map((row) => [row.id, row]));
  const letters = ids
    .flatMap((id) => byId.get(id) ?? [])
    .filter((row) => stream === null || row.stream === stream);
  if (letters.length < ids.length) throw notFound('dead letter');
  return { pipeline, choice: { ...choice, letters } };
}

async function done<R>(
  call: Choosing,
  act: (caller: Caller, given: Chosen) => Promise<R>,
): Promise<R> {
  const given = await chosen(call);
  try {
    return await act(call.caller, given);
  } catch (error) {
    throw upstreamError(error);
  }
}

const audit = (action: string, { body }: Choosing, counts: object): Audit => ({
  action: `dead_letters.${action}`,
  resourceType: 'pipeline',
  resourceId: body.pipeline_id,
  details: { stream: body.stream ?? null, ids: body.ids ?? null, ...counts },
});

const EXAMPLE = {
  pipeline_id: '01980c8e-5f6a-7c1d-8a53-0d4f1c2b3a49',
  stream: 'public.orders',
} as const;

const replay = changeRoute({
  method: 'POST',
  path: `${PATH}/replay`,
  operation: 'replayDeadLetters',
  summary: 'Writes open letters again, in their order.',
  tag: TAG,
  permission: 'operate',
  body: letterChoice,
  example: EXAMPLE,
  replies: { 200: replayedSchema },
  failures: ['not_found', 'capability_missing', 'file_locked'],
  upstream: true,
  timeoutMs: CHANGE_MS,
  prepare: (call) =>
    done(call, (caller, { pipeline, choice }) =>
      call.context.services.replayDeadLetters(caller.scope, pipeline, choice),
    ),
  change: (call, _transaction, result) => {
    const { letters: _, ...counts } = result;
    return Promise.resolve({ status: 200, body: result, audit: audit('replay', call, counts) });
  },
});

const drop = changeRoute({
  method: 'POST',
  path: `${PATH}/drop`,
  operation: 'dropDeadLetters',
  summary: 'Removes letters, and with them the rows, for good; also those that were replayed.',
  tag: TAG,
  permission: 'edit',
  body: letterChoice,
  example: EXAMPLE,
  replies: { 200: droppedSchema },
  failures: ['not_found', 'capability_missing', 'file_locked'],
  upstream: true,
  timeoutMs: CHANGE_MS,
  prepare: (call) =>
    done(call, (caller, { pipeline, choice }) =>
      call.context.services.dropDeadLetters(caller.scope, pipeline, choice),
    ),
  change: (call, _transaction, result) =>
    Promise.resolve({ status: 200, body: result, audit: audit('drop', call, result) }),
});

export const deadLetterRoutes: readonly Route[] = [
  readRoute({
    path: PATH,
    operation: 'listDeadLetters',
    summary: 'Rows that were refused, newest first. The rows themselves are at the destination.',
    tag: TAG,
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
    path: `${PATH}/{id}`,
    operation: 'getDeadLetter',
    summary:
      'One dead letter; with its row, as the destination keeps it, for those who may operate.',
    tag: TAG,
    permission: 'read',
    params: idParams,
    replies: { 200: deadLetterDetailSchema },
    handle: async (call) => {
      const { context, caller, params } = call;
      const id = storedId(params.id);
      const row = id === null ? null : await findDeadLetter(context.db, caller.scope, id);
      if (row === null) throw notFound('dead letter');
      return { status: 200, body: { ...letterView(row), ...(await payloadOf(call, row)) } };
    },
  }),
  replay,
  drop,
];
