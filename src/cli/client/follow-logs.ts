/** Lines of a log as they are written, also across breaks of the connection. */
import { logLineSchema } from '../../api/schemas/executions.ts';
import type { z } from 'zod';
import type { ApiClient } from '../api-client.ts';
import { parseJson, problemError, transportError, unreadable } from './api-failure.ts';
import { Patience } from './patience.ts';
import { EventReader, type ServerSentEvent } from './server-sent-events.ts';

export type LogLine = z.output<typeof logLineSchema>;

/** A server says every 15 seconds that it is there. */
const SILENCE_MS = 60_000;

interface Following {
  readonly api: ApiClient;
  readonly path: string;
  readonly line: (line: LogLine) => void;
  readonly say: (text: string) => void;
  /** Of the last line that was told: where the next connection goes on. */
  last: string | null;
}

/** Aborts when nothing came for a while, or with the other signal. */
class Silence implements Disposable {
  readonly #controller = new AbortController();
  #timer: NodeJS.Timeout;

  constructor() {
    this.#timer = this.#begin();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  broken(): void {
    clearTimeout(this.#timer);
    this.#timer = this.#begin();
  }

  #begin(): NodeJS.Timeout {
    const reason = new DOMException('nothing came', 'TimeoutError');
    return setTimeout(() => this.#controller.abort(reason), SILENCE_MS);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}

/** Whether the log has ended. */
function takeEvent(following: Following, { id, event, data }: ServerSentEvent): boolean {
  const { server } = following.api;
  if (event === 'end') return true;
  if (event === 'error')
    throw problemError(server, { status: 500, text: data, retryAfterMs: null });
  if (event !== 'log') return false;
  const read = logLineSchema.safeParse(parseJson(data));
  if (!read.success) throw unreadable(server, 'sent a line of a log that this release cannot read');
  following.line(read.data);
  following.last = id;
  return false;
}

async function readOnce(following: Following, patience: Patience): Promise<boolean> {
  const { api, path, last } = following;
  using silence = new Silence();
  const signal = AbortSignal.any([api.signal, silence.signal]);
  const response = await api.feed(path, last, signal);
  const reader = new EventReader();
  const decoder = new TextDecoder();
  try {
    for await (const bytes of response.body ?? []) {
      silence.broken();
      patience.succeeded();
      for (const event of reader.take(decoder.decode(bytes, { stream: true }))) {
        if (takeEvent(following, event)) return true;
      }
    }
  } catch (error) {
    if (error instanceof RangeError) throw unreadable(api.server, 'sent an event without an end');
    throw feedFailure(api, error);
  }
  return false;
}

function feedFailure(api: ApiClient, error: unknown): unknown {
  const isOurs = error instanceof Error && error.name === 'ForebayError';
  return isOurs || api.signal.aborted ? error : transportError(api.server, error);
}

/** Returns when the log has ended. */
export async function followLogs(
  api: ApiClient,
  path: string,
  tell: Pick<Following, 'line' | 'say'>,
): Promise<void> {
  const following: Following = { api, path, ...tell, last: null };
  const patience = new Patience({ signal: api.signal, say: tell.say });
  for (;;) {
    try {
      if (await readOnce(following, patience)) return;
      await patience.bear(transportError(api.server, new Error('the feed ended')));
    } catch (error) {
      if (api.signal.aborted) throw error;
      await patience.bear(error);
    }
  }
}
