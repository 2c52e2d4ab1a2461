/**
 * Calls are requests to the very application that answers over HTTP: who may ask, how often, what a key does twice and
 * what is audited is decided there and nowhere else.
 */
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import {
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  type sendUnaryData,
  type ServerUnaryCall,
  type ServerWritableStream,
} from '@grpc/grpc-js';
import type { FastifyInstance } from 'fastify';
import { asForebayError, ForebayError } from '../../core/errors.ts';
import type { Log } from '../../service/log.ts';
import { PROBLEM_TYPE, problemOf } from '../problem.ts';
import type { Rpc } from './contract.ts';
import { streamEvents } from './event-stream.ts';
import { callerAddress, requestOf } from './request.ts';
import { GrpcRefusal, refusalOf } from './status.ts';
import { toMessage } from './wire.ts';

export type Members = Readonly<Record<string, unknown>>;
type Unary = ServerUnaryCall<Members, Members>;
type Stream = ServerWritableStream<Members, Members>;

export interface CallContext {
  readonly app: Pick<FastifyInstance, 'inject'>;
  readonly log: Log;
  /** Of the server: feeds end. */
  readonly stopping: AbortSignal;
}

/** Headers of an answer that callers can do something with. */
const TOLD = ['etag', 'idempotency-replayed', 'x-request-id'];

type Headers = Readonly<Record<string, string | string[] | number | undefined>>;

function initialMetadata(headers: Headers): Metadata {
  const metadata = new Metadata();
  for (const name of TOLD) {
    const value = headers[name];
    if (typeof value === 'string') metadata.set(name, value);
  }
  return metadata;
}

const retryAfterOf = (headers: Headers): string | undefined => {
  const value = headers['retry-after'];
  return value === undefined ? undefined : String(value);
};

/** Aborted when the caller is gone. */
function whenCancelled(call: Unary | Stream): AbortController {
  const gone = new AbortController();
  if (call.cancelled) gone.abort();
  else call.once('cancelled', () => gone.abort());
  return gone;
}

/** What is not the application's own refusal; bugs are for the log. */
function failureOf(context: CallContext, rpc: Rpc, error: unknown): GrpcRefusal {
  if (error instanceof GrpcRefusal) return error;
  const failure = asForebayError(error);
  const { document } = problemOf(failure, '', `/${rpc.service}/${rpc.name}`);
  if (document.status >= 500) {
    context.log.at('error', 'call_failed', {
      call: `${rpc.service}/${rpc.name}`,
      code: failure.code,
      message: failure.message,
      stack: failure.cause instanceof Error ? failure.cause.stack : failure.stack,
    });
  }
  return new GrpcRefusal(document, undefined);
}

/** By its type, not its status: a readiness probe has a reply of its own with 503. */
function isProblem(headers: Headers): boolean {
  return String(headers['content-type']).startsWith(PROBLEM_TYPE);
}

interface Answer {
  readonly headers: Headers;
  readonly message: Members;
}

async function ask(context: CallContext, rpc: Rpc, call: Unary): Promise<Answer> {
  const request = requestOf(rpc, call.request, call.metadata);
  const gone = whenCancelled(call);
  const remoteAddress = callerAddress(call.getPeer());
  const { headers, payload } = await context.app.inject({
    ...request,
    remoteAddress,
    signal: gone.signal,
  });
  if (isProblem(headers)) throw refusalOf(payload, retryAfterOf(headers));
  return { headers, message: messageOf(rpc, payload, headers) };
}

function messageOf(rpc: Rpc, payload: string, headers: Headers): Members {
  const response = rpc.response();
  switch (response.kind) {
    case 'empty':
      return {};
    case 'text':
      return { content_type: String(headers['content-type']), content: payload };
    case 'json':
    case 'feed':
      return payload === '' ? {} : toMessage(response.message, JSON.parse(payload));
  }
}

async function answer(
  context: CallContext,
  rpc: Rpc,
  call: Unary,
  callback: sendUnaryData<Members>,
): Promise<void> {
  let answered: Answer;
  try {
    answered = await ask(context, rpc, call);
  } catch (error) {
    // Who has gone hears nothing of it.
    if (!call.cancelled) callback(failureOf(context, rpc, error));
    return;
  }
  call.sendMetadata(initialMetadata(answered.headers));
  callback(null, answered.message);
}

export function unaryHandler(context: CallContext, rpc: Rpc): handleUnaryCall<Members, Members> {
  return (call, callback) => void answer(context, rpc, call, callback);
}

async function textOf(stream: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString();
}

/** A message at a time: the feed reads on when it was taken. */
async function pass(rpc: Rpc, chunks: Readable, call: Stream, signal: AbortSignal): Promise<void> {
  const response = rpc.response();
  if (response.kind === 'empty') throw new Error(`${rpc.name} is no feed`);
  for await (const { id, event, data } of streamEvents(chunks)) {
    if (event === 'end') return;
    if (event === 'error') throw refusalOf(data, undefined);
    const message = toMessage(response.message, { id, type: event, data: JSON.parse(data) });
    if (!call.write(message)) await once(call, 'drain', { signal });
  }
  throw new ForebayError('server_starting', { message: 'The server is stopping' });
}

async function follow(context: CallContext, rpc: Rpc, call: Stream): Promise<void> {
  const request = requestOf(rpc, call.request, call.metadata);
  const gone = whenCancelled(call);
  const signal = AbortSignal.any([gone.signal, context.stopping]);
  const remoteAddress = callerAddress(call.getPeer());
  try {
    const answered = await context.app.inject({
      ...request,
      remoteAddress,
      signal,
      payloadAsStream: true,
    });
    const { headers } = answered;
    const chunks = answered.stream();
    // An aborted one fails after nobody reads it any more.
    chunks.on('error', () => {});
    if (answered.statusCode !== 200) {
      throw refusalOf(await textOf(chunks), retryAfterOf(headers));
    }
    call.sendMetadata(initialMetadata(headers));
    await pass(rpc, chunks, call, signal);
  } finally {
    gone.abort();
  }
}

async function serve(context: CallContext, rpc: Rpc, call: Stream): Promise<void> {
  try {
    await follow(context, rpc, call);
    call.end();
  } catch (error) {
    if (call.cancelled) return;
    const cause = context.stopping.aborted
      ? new ForebayError('server_starting', { message: 'The server is stopping' })
      : error;
    call.emit('error', failureOf(context, rpc, cause));
  }
}

export function feedHandler(
  context: CallContext,
  rpc: Rpc,
): handleServerStreamingCall<Members, Members> {
  return (call) => void serve(context, rpc, call);
}
