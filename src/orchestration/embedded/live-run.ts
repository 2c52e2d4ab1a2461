/** A run in the memory of its owner: does what the flow asks, and tells the flow what is durable. */
import { ForebayError } from '../../core/errors.ts';
import type { JournalEntriesTable, JournalRunsTable } from '../../metadata/journal-tables.ts';
import { cancelled, type FailureReport, toFailure } from '../failure.ts';
import type { Json } from '../flow.ts';
import { fromPayload } from '../payload.ts';
import { performStep } from './activity-step.ts';
import { AT_ONCE, type JournalWrite, type RunEnding, type WriteResult } from './journal-commit.ts';
import type { RunNews, SignalRow } from './journal-read.ts';
import type { Answer, Command, Ending } from './machine.ts';
import { answerOf, type Replay, replay } from './replay.ts';
import type { Closing, RunHost } from './run-host.ts';
import { continuationOf, newRun } from './run-row.ts';
import { cancelEntry, dueMs, earliest, ended, failed, newEntry, type Step } from './step.ts';

type Delivery =
  | {
      readonly kind: 'answer';
      readonly seq: number;
      readonly answer: Answer;
      readonly atMs: number;
    }
  | { readonly kind: 'cancel'; readonly atMs: number };

/** A timer looks at the clock again after this long, so that it notices when the clock was set. */
const CLOCK_CHECK_MS = 5000;

export class LiveRun {
  readonly row: JournalRunsTable;
  readonly #host: RunHost;
  readonly #steps = new Map<number, Step>();
  readonly #deliveries: Delivery[] = [];
  readonly #activities = new Set<Promise<void>>();
  readonly #takenSignals = new Set<number>();
  #signals: readonly SignalRow[] = [];
  #replay: Replay | null = null;
  #delivered = 0;
  #writing = 0;
  #pumping = false;
  #missedNews = false;
  #cancelTold = false;
  #timer: NodeJS.Timeout | undefined;
  #state: 'open' | 'letting-go' | 'stopping' | 'closed' = 'open';

  constructor(host: RunHost, row: JournalRunsTable) {
    this.#host = host;
    this.row = row;
  }

  /** Nothing is under way: all that comes next comes from outside or from the clock. */
  get idle(): boolean {
    return (
      this.#state === 'open' &&
      this.#replay !== null &&
      !this.#pumping &&
      this.#writing === 0 &&
      this.#activities.size === 0
    );
  }

  async open(entries: readonly JournalEntriesTable[], news: RunNews | null): Promise<void> {
    const flow = this.#host.flows[this.row.flow];
    if (flow === undefined)
      throw new ForebayError('internal', { message: `there is no flow ${this.row.flow}` });
    this.#pumping = true;
    const replayed = await replay(flow, this.row, entries);
    this.#replay = replayed;
    this.#delivered = replayed.delivered;
    this.#cancelTold = replayed.machine.cancelled;
    this.#signals = news?.signals ?? [];
    await this.#settled(replayed);
    this.#pumping = false;
    await this.#pump();
    if (news !== null) this.hear(news);
    if (this.#missedNews) this.#host.look(this);
  }

  /** Somebody sent a signal, asked to cancel, or a child has ended. */
  hear(news: RunNews): void {
    if (this.#state !== 'open' || this.#replay === null) {
      this.#missedNews = true;
      return;
    }
    if (news.cancelRequested) this.#tellCancel();
    this.#signals = news.signals;
    for (const step of this.#steps.values()) this.#giveSignal(step);
    for (const child of news.endedChildren) {
      const step = this.#steps.get(child.parent_seq ?? 0);
      if (step?.command.kind !== 'child') continue;
      const status = child.status === 'completed' ? 'completed' : 'failed';
      this.#complete(step, answerOf({ ...step.entry, ...child, status }));
    }
    this.#host.settled(this);
  }

  /** Null while the flow is not where its journal ends. */
  query(name: string): { readonly value: Json } | null {
    return this.#replay === null ? null : { value: this.#replay.machine.query(name) };
  }

  #nowMs(): number {
    return this.#host.journal().now();
  }

  /** False where the run is no longer ours; then everything here ends. */
  async #write(parts: Omit<JournalWrite, 'runId' | 'epoch'>): Promise<WriteResult> {
    const marks = this.#replay?.takeMarks() ?? [];
    const entries = [...marks, ...(parts.entries ?? [])];
    this.#writing += 1;
    const result = await this.#host.commit({
      ...parts,
      runId: this.row.id,
      epoch: this.row.epoch,
      entries,
    });
    this.#writing -= 1;
    if (result.kind === 'fenced') this.lose();
    return result;
  }

  #save(parts: Omit<JournalWrite, 'runId' | 'epoch'>, then: () => void): void {
    void this.#write(parts)
      .then((result) => {
        if (result.kind === 'fenced') return;
        then();
        this.#host.settled(this);
      })
      .catch((error: unknown) => this.#host.onFault(error, this));
  }

  #complete(step: Step, answer: Answer, signal?: SignalRow): void {
    if (!this.#steps.delete(step.command.seq)) return;
    const nowMs = this.#nowMs();
    this.#delivered += 1;
    const entry = ended(step.entry, answer, { delivered: this.#delivered, nowMs });
    const { seq } = step.command;
    if (signal !== undefined) this.#takenSignals.add(signal.id);
    const takenSignals = signal === undefined ? [] : [{ id: signal.id, seq }];
    this.#save({ entries: [entry], takenSignals }, () => {
      this.#tell({ kind: 'answer', seq, answer, atMs: nowMs });
    });
  }

  #tellCancel(): void {
    if (this.#cancelTold) return;
    this.#cancelTold = true;
    const nowMs = this.#nowMs();
    this.#delivered += 1;
    const entry = cancelEntry(this.row, { delivered: this.#delivered, nowMs });
    this.#save({ entries: [entry] }, () => {
      this.#tell({ kind: 'cancel', atMs: nowMs });
    });
  }

  #tell(delivery: Delivery): void {
    this.#deliveries.push(delivery);
    void this.#pump().catch((error: unknown) => this.#host.onFault(error, this));
  }

  async #pump(): Promise<void> {
    const replayed = this.#replay;
    if (replayed === null || this.#pumping) return;
    this.#pumping = true;
    for (;;) {
      const delivery = this.#deliveries.shift();
      if (delivery === undefined || this.#state === 'closed') break;
      if (delivery.kind === 'cancel') await replayed.machine.cancel(delivery.atMs);
      else await replayed.machine.deliver(delivery.seq, delivery.answer, delivery.atMs);
      await this.#settled(replayed);
    }
    this.#pumping = false;
    this.#host.settled(this);
  }

  /** The flow stands still: does what it asked meanwhile. */
  async #settled(replayed: Replay): Promise<void> {
    if (this.#state === 'closed' || this.#state === 'stopping') return;
    const divergence = replayed.divergence();
    if (divergence !== null) return this.#finish('parked', toFailure(divergence));
    const { ending } = replayed.machine;
    if (ending !== null) return this.#end(ending);
    this.#act(replayed);
    if (replayed.machine.cancelled) this.#passCancelOn();
    this.#windTimer();
  }

  #act(replayed: Replay): void {
    const entries: JournalEntriesTable[] = [];
    const children: JournalRunsTable[] = [];
    const begun: Step[] = [];
    for (const command of replayed.takeCommands()) {
      const open = replayed.openEntry(command.seq);
      const entry = open ?? newEntry(this.row, command);
      const step: Step = { command, entry, controller: new AbortController(), performing: false };
      this.#steps.set(command.seq, step);
      if (command.kind === 'activity') this.#perform(step);
      else {
        if (open === null) this.#note(step, entries);
        if (command.kind === 'child') children.push(this.#childOf(command));
        begun.push(step);
      }
    }
    if (entries.length > 0 || children.length > 0) this.#begin(entries, children);
    for (const step of begun) this.#giveSignal(step);
  }

  #note(step: Step, entries: JournalEntriesTable[]): void {
    const { waitMs } = step.command;
    const due = waitMs === null ? null : new Date(this.#nowMs() + waitMs).toISOString();
    step.entry = { ...step.entry, attempt: 1, due_at: due };
    entries.push(step.entry);
  }

  #begin(entries: JournalEntriesTable[], children: JournalRunsTable[]): void {
    void this.#write({ entries, children })
      .then((result) => {
        if (result.kind === 'fenced') return;
        for (const seq of result.refusedChildren) this.#refuse(seq);
        if (children.length > 0) {
          // One that was begun before a crash may have ended since.
          this.#host.look(this);
          this.#host.wake();
        }
        this.#host.settled(this);
      })
      .catch((error: unknown) => this.#host.onFault(error, this));
  }

  #refuse(seq: number): void {
    const step = this.#steps.get(seq);
    if (step === undefined) return;
    const { workflowId } = step.command;
    const error = new ForebayError('workflow_exists', {
      message: `workflow ${workflowId} is open`,
    });
    this.#complete(step, failed(error));
  }

  #childOf({ name, input, workflowId, seq }: Command): JournalRunsTable {
    const parent = { parent_run_id: this.row.id, parent_seq: seq };
    return { ...newRun(name, workflowId ?? '', input, this.#nowMs()), ...parent };
  }

  #giveSignal(step: Step): void {
    const { kind, name, seq } = step.command;
    if (kind !== 'signal' || !this.#steps.has(seq)) return;
    const next = this.#signals.find(
      (signal) => signal.name === name && !this.#takenSignals.has(signal.id),
    );
    if (next === undefined) return;
    this.#complete(step, { ok: true, result: fromPayload(next.payload) }, next);
  }

  #perform(step: Step): void {
    if (this.#replay?.machine.cancelled === true && !step.command.shielded) return;
    step.performing = true;
    const done = performStep(this.#host, step, {
      runId: this.row.id,
      epoch: this.row.epoch,
      save: async (entry) => {
        step.entry = entry;
        return (await this.#write({ entries: [entry] })).kind === 'written';
      },
    })
      .then((answer) => {
        if (answer !== null && this.#state !== 'closed') this.#complete(step, answer);
      })
      .catch((error: unknown) => this.#host.onFault(error, this))
      .finally(() => {
        this.#activities.delete(done);
        this.#host.settled(this);
      });
    this.#activities.add(done);
  }

  /** Waits have ended already; what runs elsewhere is told, and its end is awaited. */
  #passCancelOn(): void {
    const error = cancelled(this.row.workflow_id);
    const children: number[] = [];
    for (const step of this.#steps.values()) {
      const { kind, shielded, seq } = step.command;
      if (shielded) continue;
      if (kind === 'child') children.push(seq);
      else if (kind !== 'activity') this.#steps.delete(seq);
      // One that another owner began before is not begun again.
      else if (step.performing) step.controller.abort(error);
      else this.#complete(step, failed(error, step.entry));
    }
    if (children.length > 0) this.#save({ cancelChildren: children }, () => this.#host.wake());
  }

  #windTimer(): void {
    clearTimeout(this.#timer);
    const due = earliest(this.#steps.values());
    if (due === null || this.#state !== 'open') return;
    const waitMs = Math.min(Math.max(0, due - this.#nowMs()), CLOCK_CHECK_MS);
    this.#timer = setTimeout(() => this.#ring(), waitMs);
  }

  #ring(): void {
    if (this.#state !== 'open') return;
    const nowMs = this.#nowMs();
    for (const step of this.#steps.values()) {
      const due = dueMs(step);
      if (due !== null && due <= nowMs) this.#complete(step, { ok: true, result: null });
    }
    this.#windTimer();
  }

  async #end(ending: Ending): Promise<void> {
    switch (ending.kind) {
      case 'completed':
        return this.#finish('completed', ending.result);
      case 'failed':
      case 'cancelled':
        return this.#finish(ending.kind, ending.failure);
      case 'continued': {
        const { owner } = this.#host.journal();
        const next = continuationOf(this.row, ending.input, { owner, nowMs: this.#nowMs() });
        this.#close();
        const result = await this.#write({ continuation: next });
        const how: Closing =
          result.kind === 'written' ? { kind: 'continued', next } : { kind: 'lost' };
        this.#host.closed(this, how);
      }
    }
  }

  async #finish(status: RunEnding['status'], outcome: string | FailureReport): Promise<void> {
    this.#close();
    const isResult = typeof outcome === 'string';
    const result = await this.#write({
      ending: {
        status,
        result: isResult ? outcome : null,
        error: isResult ? null : JSON.stringify(outcome),
        parentRunId: this.row.parent_run_id,
      },
    });
    this.#host.closed(this, { kind: result.kind === 'written' ? 'ended' : 'lost' });
    this.#host.wake();
  }

  #close(): void {
    this.#state = 'closed';
    clearTimeout(this.#timer);
    for (const { controller } of this.#steps.values())
      controller.abort(cancelled(this.row.workflow_id));
  }

  /** Another engine has it, or nobody knows: nothing more is written. */
  lose(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    clearTimeout(this.#timer);
    const reason = new ForebayError('worker_lost', {
      message: 'another worker took the execution over',
    });
    for (const { controller } of this.#steps.values()) controller.abort(reason);
    this.#host.closed(this, { kind: 'lost' });
  }

  /** Out of memory until its time comes; false where there is something to do. */
  async letGo(): Promise<boolean> {
    if (!this.idle) return false;
    this.#state = 'letting-go';
    clearTimeout(this.#timer);
    const due = earliest(this.#steps.values());
    this.#missedNews = false;
    const wakeAt = due === null ? null : new Date(due).toISOString();
    const result = await this.#write({ release: { wakeAt, forced: false } });
    if (result.kind === 'fenced') return false;
    if (result.kept) {
      this.#state = 'open';
      this.#windTimer();
      this.#host.look(this);
      return false;
    }
    this.#state = 'closed';
    this.#host.closed(this, { kind: 'released', lookAgain: this.#missedNews });
    return true;
  }

  /** Gives back what is under way, so that another engine goes on with it. */
  async stop(): Promise<void> {
    if (this.#state === 'closed') return;
    this.#state = 'stopping';
    clearTimeout(this.#timer);
    const reason = new ForebayError('worker_stopping', { message: 'the server is being stopped' });
    for (const { controller } of this.#steps.values()) controller.abort(reason);
    await Promise.all(this.#activities);
    const result = await this.#write({ release: { wakeAt: AT_ONCE, forced: true } });
    this.#state = 'closed';
    if (result.kind === 'written') this.#host.closed(this, { kind: 'released', lookAgain: false });
  }
}
