/** Entry of the worker thread: owns the DuckDB instance and answers the main thread's calls. */
import { parentPort } from 'node:worker_threads';
import { ForebayError } from '../../core/errors.ts';
import { packError } from './errors.ts';
import type { CallAnswer, CallMessage } from './worker-client.ts';
import { WorkerMethods } from './worker-methods.ts';

const port = parentPort;
if (port === null) throw new TypeError('worker.ts runs only as a worker thread');

const methods = new WorkerMethods();

async function answer({ id, method, args }: CallMessage): Promise<CallAnswer> {
  try {
    // The client's types tie method and arguments together; here they have been through a message.
    const call = methods[method] as (...given: readonly unknown[]) => Promise<unknown>;
    const value = await call.apply(methods, [...args]);
    return { id, ok: true, value, notices: methods.takeNotices() };
  } catch (error) {
    // Stacks stay here: the message alone tells people something.
    const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    const known = error instanceof ForebayError ? error : new ForebayError('internal', { message });
    return { id, ok: false, error: packError(known), notices: methods.takeNotices() };
  }
}

port.on('message', (message: CallMessage) => {
  void answer(message).then((reply) => port.postMessage(reply));
});
