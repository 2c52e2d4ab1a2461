import { parentPort, workerData } from 'node:worker_threads';
import { asForebayError } from '../core/errors.ts';
import { type BuiltTransform, buildTransform } from './build-transform.ts';
import type { DocumentTransform, Outcome } from './document-transform.ts';
import {
  type FromWorker,
  PART_DOCUMENTS,
  packOutcome,
  type WorkerInput,
} from './worker-messages.ts';

// Written by the runner alone.
const { source, limits, sources, progress } = workerData as WorkerInput;
const current = new Int32Array(progress);

function send(message: FromWorker): void {
  parentPort?.postMessage(message);
}

function serve(built: BuiltTransform): void {
  parentPort?.on('message', (documents: readonly string[]) => transformAll(built, documents));
  send({ kind: 'ready', moduleCount: built.moduleCount, sources });
}

function transformAll(built: BuiltTransform, documents: readonly string[]): void {
  let outcomes = [];
  for (const [index, document] of documents.entries()) {
    // The runner reads it to know which document is taking long or ended the thread.
    Atomics.store(current, 0, index);
    const [outcome, isBroken] = attempt(built.transform, document);
    outcomes.push(packOutcome(outcome));
    if (isBroken || built.isSpent()) {
      send({ kind: 'spent', outcomes });
      return;
    }
    if (outcomes.length < PART_DOCUMENTS) continue;
    send({ kind: 'part', outcomes });
    outcomes = [];
  }
  send({ kind: 'part', outcomes });
}

function attempt(transform: DocumentTransform, document: string): [Outcome, isBroken: boolean] {
  try {
    return [transform(document), false];
  } catch (error) {
    // A message of the platform may quote the document; the name does not.
    const message = `the transformation broke off (${error instanceof Error ? error.name : typeof error})`;
    return [{ kind: 'failed', code: 'internal', message }, true];
  }
}

try {
  serve(await buildTransform(source, limits, sources));
} catch (error) {
  const { code, message, why } = asForebayError(error);
  send({ kind: 'refused', code, message, why });
}
