/** Sends what went wrong. */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ForebayError } from '../core/errors.ts';
import { frameworkError, PROBLEM_TYPE, problemOf, RequestError } from './problem.ts';
import { pathOf, type Running, SECURITY_HEADERS } from './running.ts';

/** What a signal broke off; null where it was none. */
function interruption({ stopping }: Running, error: unknown): ForebayError | null {
  const name = error instanceof Error ? error.name : '';
  if (name !== 'AbortError' && name !== 'TimeoutError') return null;
  return stopping.signal.aborted
    ? new ForebayError('server_starting', { message: 'The server is stopping' })
    : new ForebayError('timeout', { message: 'The request took too long', cause: error });
}

function logRefusal(running: Running, failure: ForebayError, request: FastifyRequest): void {
  running.options.log.at('warn', 'request_refused', {
    trace_id: request.id,
    code: failure.code,
    method: request.method,
    path: pathOf(request),
    address: request.ip,
  });
}

export function sendProblem(
  running: Running,
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const failure = interruption(running, error) ?? frameworkError(error);
  const { status, headers, document } = problemOf(failure, request.id, pathOf(request));
  if (status >= 500) {
    running.options.log.at('error', 'request_failed', {
      trace_id: request.id,
      code: failure.code,
      message: failure.message,
      why: failure.why,
      stack: failure.cause instanceof Error ? failure.cause.stack : failure.stack,
    });
  }
  if (status === 401 || status === 403) logRefusal(running, failure, request);
  return reply
    .code(status)
    .headers({ ...SECURITY_HEADERS, ...headers })
    .type(PROBLEM_TYPE)
    .send(JSON.stringify(document));
}

export function notServed(running: Running, request: FastifyRequest): RequestError {
  const path = pathOf(request);
  const fitting = running.registered.filter(({ pattern }) => pattern.test(path));
  // An address that is written out goes before one with a parameter in its place.
  const exact = fitting.filter((route) => route.path === path);
  const methods = exact.length > 0 ? exact : fitting;
  if (methods.length === 0) {
    return new RequestError('not_found', {
      message: 'There is no such address',
      fix: 'See /docs for the addresses that there are.',
    });
  }
  return new RequestError('method_not_allowed', {
    message: `The address does not take ${request.method}`,
    headers: { allow: [...new Set(methods.map(({ method }) => method))].join(', ') },
  });
}

/** Of the header Expect there is one form that is known, and Node does that one itself. */
export function refuseExpectation(_request: IncomingMessage, response: ServerResponse): void {
  const refusal = new RequestError('request_invalid', {
    message: 'The header Expect asks for what is not known',
    status: 417,
  });
  const { document } = problemOf(refusal, randomBytes(16).toString('hex'), '/');
  response.writeHead(417, { ...SECURITY_HEADERS, 'content-type': PROBLEM_TYPE });
  response.end(JSON.stringify(document));
}

/** What Node refuses before there is a request. */
export function refuseUnreadable(error: Error & { readonly code?: string }, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const status =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? 431
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? 408
        : 400;
  const refusal = new RequestError('request_invalid', {
    message: 'The request is no HTTP that can be read',
    status,
  });
  const { document } = problemOf(refusal, randomBytes(16).toString('hex'), '/');
  const body = JSON.stringify(document);
  socket.end(
    [
      `HTTP/1.1 ${status} ${document.title}`,
      `content-type: ${PROBLEM_TYPE}`,
      `content-length: ${Buffer.byteLength(body)}`,
      'connection: close',
      '',
      body,
    ].join('\r\n'),
  );
}
