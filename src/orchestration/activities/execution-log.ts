/** Lines of an execution's log, for people: no row values, no secrets. */
import type { RunEvent } from '../../engine/pipeline.ts';
import type { Metadata } from '../../metadata/database.ts';
import { appendLogs, type LogLine } from '../../metadata/execution-logs.ts';
import { scopeOf } from '../../metadata/scope.ts';
import type { Layer, LogLevel } from '../../metadata/tables.ts';
import { timeOf } from '../../metadata/transaction.ts';
import type { ActivityContext } from '../flow.ts';
import type { ExecutionRef } from '../flows/activities.ts';

const FLUSH_MS = 500;

export class ExecutionLog implements AsyncDisposable {
  readonly #deps: { readonly metadata: Pick<Metadata, 'db'> };
  readonly #ref: ExecutionRef;
  readonly #layer: Layer | null;
  /** Lines that are written again because the answer was lost are there once. */
  readonly #step: string;
  #lines: LogLine[] = [];
  #count = 0;
  #timer: NodeJS.Timeout | null = null;
  #writing: Promise<void> = Promise.resolve();

  constructor(
    deps: { readonly metadata: Pick<Metadata, 'db'> },
    ref: ExecutionRef,
    place: {
      readonly layer: Layer | null;
      readonly context: Pick<ActivityContext, 'stepKey'>;
    },
  ) {
    this.#deps = deps;
    this.#ref = ref;
    this.#layer = place.layer;
    this.#step = `${place.context.stepKey}/${Date.now()}`;
  }

  add(
    level: LogLevel,
    message: string,
    fields: Readonly<Record<string, unknown>> | null = null,
  ): void {
    this.#count += 1;
    this.#lines.push({
      line_key: `${this.#step}/${this.#count}`,
      timestamp: timeOf(),
      level,
      layer: this.#layer,
      message,
      fields: fields === null ? null : JSON.stringify(fields),
    });
    this.#timer ??= setTimeout(() => void this.flush().catch(() => {}), FLUSH_MS).unref();
  }

  /** What a run tells as it goes. */
  event(event: RunEvent): void {
    const of = event.stream === null ? '' : `${event.stream}: `;
    switch (event.event) {
      case 'phase':
        this.add('debug', `Phase ${event.phase}`);
        return;
      case 'schema-change':
        this.add('info', `${of}${event.change}`, { stream: event.stream });
        return;
      case 'stream-paused':
        this.add('error', `${of}paused: ${event.reason}. ${event.fix}`, {
          stream: event.stream,
          code: event.code,
        });
        return;
      case 'notice':
        this.add('info', `${of}${event.message}`, { stream: event.stream });
        return;
      case 'retry':
        this.add('warning', `${of}${event.error.message}; tried again`, { attempt: event.attempt });
        return;
      case 'started':
      case 'progress':
      case 'checkpoint':
      case 'stopped':
    }
  }

  /** Written lines are there when it resolves. A failure leaves them for the next time. */
  flush(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const written = this.#writing.catch(() => {}).then(() => this.#write());
    this.#writing = written;
    return written;
  }

  async #write(): Promise<void> {
    // A copy: lines that come while these are written are not among them.
    const lines = [...this.#lines];
    if (lines.length === 0) return;
    const { organizationId, executionId } = this.#ref;
    await appendLogs(this.#deps.metadata.db, scopeOf(organizationId), executionId, lines);
    this.#lines = this.#lines.slice(lines.length);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.flush();
  }
}
