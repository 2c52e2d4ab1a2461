/** Counts and rates of a run, and the events that tell them. */
import { addAccounts, EMPTY_ACCOUNT, type RowAccount } from '../core/checkpoint.ts';
import { type ForebayError, reportError } from '../core/errors.ts';
import type { Position } from '../core/position.ts';
import type { StreamId } from '../core/stream-schema.ts';
import type { CommittedBatch, RunControl, RunEvent, RunPhase } from './pipeline.ts';

const REPORT_EVERY_MS = 500;

interface Rate {
  rows: number;
  bytes: number;
  readonly startedAt: number;
  lastReportAt: number;
}

type EventBody = RunEvent extends infer Event
  ? Event extends RunEvent
    ? Omit<Event, 'at' | 'pipeline' | 'stream'>
    : never
  : never;

export interface Lag {
  readonly lagMs: number | null;
  readonly lagBytes: number | null;
}

export class RunProgress {
  readonly #pipeline: string;
  readonly #control: RunControl;
  readonly #accounts = new Map<StreamId, RowAccount>();
  readonly #totals = new Map<StreamId, number>();
  #rates = new Map<StreamId, Rate>();
  #phase: RunPhase = 'plan';
  #phaseStartedAt = performance.now();
  #lag: Lag = { lagMs: null, lagBytes: null };
  /** True once something was written at the destination. */
  begun = false;

  constructor(pipeline: string, control: RunControl) {
    this.#pipeline = pipeline;
    this.#control = control;
  }

  emit(body: EventBody, stream: StreamId | null = null): void {
    const event = { at: new Date().toISOString(), pipeline: this.#pipeline, stream, ...body };
    this.#control.observe(event);
  }

  phase(phase: RunPhase, position?: Position): void {
    if (phase !== this.#phase) {
      this.#rates = new Map();
      this.#phaseStartedAt = performance.now();
    }
    this.#phase = phase;
    this.emit({ event: 'phase', phase, ...(position === undefined ? {} : { position }) });
  }

  get currentPhase(): RunPhase {
    return this.#phase;
  }

  expect(stream: StreamId, rows: number | null): void {
    if (rows !== null && rows > 0) this.#totals.set(stream, rows);
  }

  /** Rows that are on their way; shown, not counted. */
  moved(stream: StreamId, rows: number, bytes: number): void {
    const rate = this.#rate(stream);
    rate.rows += rows;
    rate.bytes += bytes;
    this.#control.meter?.moved(stream, rows);
    if (performance.now() - rate.lastReportAt >= REPORT_EVERY_MS) this.report(stream);
  }

  /** Rows that are committed. */
  count(stream: StreamId, account: RowAccount): void {
    this.#accounts.set(stream, addAccounts(this.account(stream), account));
    this.#control.meter?.counted(stream, account);
  }

  gaveUp(): void {
    this.#control.meter?.gaveUp?.();
  }

  committed(batch: CommittedBatch): void {
    this.#control.meter?.batch?.(batch);
  }

  account(stream: StreamId): RowAccount {
    return this.#accounts.get(stream) ?? EMPTY_ACCOUNT;
  }

  setLag(lag: Lag): void {
    this.#lag = lag;
  }

  get lag(): Lag {
    return this.#lag;
  }

  report(stream: StreamId): void {
    const rate = this.#rate(stream);
    const now = performance.now();
    rate.lastReportAt = now;
    const seconds = Math.max((now - rate.startedAt) / 1000, 0.001);
    const rowsPerSecond = Math.round(rate.rows / seconds);
    const totalRows = this.#phase === 'snapshot' ? (this.#totals.get(stream) ?? null) : null;
    const left = totalRows === null ? null : Math.max(0, totalRows - rate.rows);
    this.emit(
      {
        event: 'progress',
        phase: this.#phase,
        rows: rate.rows,
        rowsPerSecond,
        bytes: rate.bytes,
        bytesPerSecond: Math.round(rate.bytes / seconds),
        totalRows,
        etaMs:
          left === null || rowsPerSecond === 0 ? null : Math.round((left / rowsPerSecond) * 1000),
        ...this.#lag,
      },
      stream,
    );
  }

  /** The last word on every stream of this phase. */
  reportAll(): void {
    if (this.#rates.size === 0 && this.#phase === 'changes') this.#reportIdle();
    for (const stream of this.#rates.keys()) this.report(stream);
  }

  /** While no stream has had a change: how far the pipeline is behind is told all the same. */
  #reportIdle(): void {
    this.emit({
      event: 'progress',
      phase: this.#phase,
      rows: 0,
      rowsPerSecond: 0,
      bytes: 0,
      bytesPerSecond: 0,
      totalRows: null,
      etaMs: null,
      ...this.#lag,
    });
  }

  retry(error: ForebayError, attempt: number, delayMs: number): void {
    this.emit({ event: 'retry', error: reportError(error), attempt, delayMs }, error.stream);
  }

  #rate(stream: StreamId): Rate {
    let rate = this.#rates.get(stream);
    if (rate === undefined) {
      const now = performance.now();
      // A table's snapshot begins with its first row; changes are told only once a whole piece is applied.
      const startedAt = this.#phase === 'changes' ? this.#phaseStartedAt : now;
      rate = { rows: 0, bytes: 0, startedAt, lastReportAt: now };
      this.#rates.set(stream, rate);
    }
    return rate;
  }
}
