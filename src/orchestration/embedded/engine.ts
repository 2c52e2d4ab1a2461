/** The engine that needs no server: flows whose journals stand in the metadata database. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Metadata } from '../../metadata/database.ts';
import type { JournalEntriesTable, JournalRunsTable } from '../../metadata/journal-tables.ts';
import type { ActivityMap, FlowMap } from '../flow.ts';
import { GroupCommit } from './group-commit.ts';
import type { Journal } from './journal-commit.ts';
import {
  claimRuns,
  readJournals,
  readNews,
  requestLook,
  type RunNews,
  takeWoken,
} from './journal-read.ts';
import { forgetOthers, Lease, register, unregister } from './lease.ts';
import { LiveRun } from './live-run.ts';
import { removeEnded } from './retention.ts';
import type { Closing, RunHost } from './run-host.ts';
import { Slots } from './slots.ts';

export interface EngineOptions {
  readonly metadata: Metadata;
  readonly flows: FlowMap;
  readonly activities: ActivityMap;
  /** Activities at a time by queue; queues that are not named have `maxActivities` each. */
  readonly queues?: Readonly<Record<string, number>>;
  readonly maxActivities?: number;
  readonly activityTimeoutMs?: number;
  /** How long activities that are told to end may take. */
  readonly graceMs?: number;
  readonly heartbeatWriteMs?: number;
  readonly leaseMs?: number;
  readonly pollMs?: number;
  /** Runs that are kept in memory while they wait. */
  readonly runsInMemory?: number;
  /** Runs that have something under way, be it that it waits for a place. */
  readonly runsAtWork?: number;
  /** How long ended runs are kept. */
  readonly retentionMs?: number;
  /** Nobody else runs flows on this database. Left out: so it is with SQLite. */
  readonly alone?: boolean;
  readonly now?: () => number;
  /** Failures that end no flow: of the database, or of the engine itself. */
  readonly onFault: (error: unknown) => void;
}

const MINUTE_MS = 60_000;
const DEFAULTS = {
  queues: {},
  maxActivities: 10,
  activityTimeoutMs: 30 * MINUTE_MS,
  graceMs: 10_000,
  heartbeatWriteMs: 5000,
  leaseMs: 10_000,
  pollMs: 200,
  runsInMemory: 200,
  runsAtWork: 1000,
  retentionMs: 7 * 24 * 60 * MINUTE_MS,
  now: Date.now,
};
/** Runs that are taken at once. */
const MOST_CLAIMED = 100;
const RETRY_RUN_MS = 10_000;
const RETENTION_EVERY_MS = 10 * MINUTE_MS;

export class Engine {
  readonly options: typeof DEFAULTS & EngineOptions;
  readonly #commits: GroupCommit;
  readonly #lease: Lease;
  readonly #host: RunHost;
  readonly #runs = new Map<string, LiveRun>();
  /** Runs that want to know what is new. */
  readonly #lookFor = new Set<LiveRun>();
  readonly #watchers = new Set<(workflowId: string) => void>();
  #journal: Journal;
  #beatenMs = performance.now();
  #sweptMs = 0;
  #timers: NodeJS.Timeout[] = [];
  #polling: Promise<void> | null = null;
  #pollAgain = false;
  /** Runs may be due that there was no room for. */
  #moreWait = false;
  #beating: Promise<void> | null = null;
  #stopped = false;

  private constructor(options: EngineOptions, id: string) {
    this.options = { ...DEFAULTS, ...options };
    const { metadata, now, leaseMs, onFault } = this.options;
    this.#journal = { db: metadata.db, dialect: metadata.dialect, owner: id, now };
    this.#lease = new Lease(metadata.db, leaseMs);
    this.#commits = new GroupCommit(() => this.#journal, { giveUpAfterMs: leaseMs, onFault });
    this.#host = this.#createHost();
  }

  static async start(options: EngineOptions): Promise<Engine> {
    const { metadata, now = Date.now } = options;
    const id = await register(metadata.db, now());
    if (options.alone ?? metadata.dialect === 'sqlite') await forgetOthers(metadata.db, id);
    const engine = new Engine(options, id);
    engine.#begin();
    return engine;
  }

  get journal(): Journal {
    return this.#journal;
  }

  /** Runs that are in memory. */
  get loaded(): number {
    return this.#runs.size;
  }

  #begin(): void {
    const { pollMs, leaseMs } = this.options;
    this.#timers = [
      setInterval(() => this.wake(), pollMs),
      setInterval(() => this.#beat(), leaseMs / 3),
    ];
    this.wake();
  }

  #createHost(): RunHost {
    const { options } = this;
    return {
      flows: options.flows,
      activities: options.activities,
      slots: new Slots(options.queues, options.maxActivities),
      activityTimeoutMs: options.activityTimeoutMs,
      graceMs: options.graceMs,
      heartbeatWriteMs: options.heartbeatWriteMs,
      journal: () => this.#journal,
      commit: (write) => this.#commits.add(write),
      wake: () => this.wake(),
      look: (run) => {
        this.#lookFor.add(run);
        this.wake();
      },
      settled: (run) => this.#settled(run),
      closed: (run, how) => this.#closed(run, how),
      onFault: (error, run) => {
        options.onFault(error);
        run.lose();
      },
    };
  }

  /** Looks at once for runs whose time has come. */
  wake(): void {
    if (this.#stopped) return;
    this.#pollAgain = true;
    this.#polling ??= this.#poll()
      .catch((error: unknown) => this.options.onFault(error))
      .finally(() => {
        this.#polling = null;
        // Asked for between the last look and here.
        if (this.#pollAgain && !this.#stopped) setImmediate(() => this.wake());
      });
  }

  async #poll(): Promise<void> {
    while (this.#pollAgain && !this.#stopped) {
      this.#pollAgain = false;
      // SQLite answers without a turn of the event loop: whoever only asks it again and again would stop all else.
      await nextTurn();
      await this.#look();
      const busy = [...this.#runs.values()].filter((run) => !run.idle).length;
      const room = Math.min(MOST_CLAIMED, this.options.runsAtWork - busy);
      this.#moreWait = room <= 0;
      if (this.#moreWait) return;
      const flows = Object.keys(this.options.flows);
      if (flows.length === 0) return;
      const claimed = await claimRuns(this.#journal, flows, room);
      await this.#load(claimed);
      this.#moreWait = claimed.length === room;
      if (this.#moreWait) this.#pollAgain = true;
    }
  }

  /** For all at once: a query for each would wait for all others. */
  async #look(): Promise<void> {
    for (const id of await takeWoken(this.#journal)) {
      const run = this.#runs.get(id);
      if (run !== undefined) this.#lookFor.add(run);
    }
    // Whoever asks while this reads is looked for once more.
    const runs = [...this.#lookFor];
    this.#lookFor.clear();
    try {
      const news = await readNews(
        this.#journal.db,
        runs.map(({ row }) => row),
      );
      for (const run of runs) {
        const own = news.get(run.row.id);
        if (own !== undefined) run.hear(own);
      }
    } catch (error) {
      for (const run of runs) this.#lookFor.add(run);
      throw error;
    }
  }

  async #load(rows: readonly JournalRunsTable[]): Promise<void> {
    const runs = rows.map((row) => new LiveRun(this.#host, row));
    for (const run of runs) this.#runs.set(run.row.id, run);
    try {
      const news = await readNews(this.#journal.db, rows);
      const journals = await readJournals(this.#journal.db, rows);
      for (const run of runs)
        this.#open(run, journals.get(run.row.id) ?? [], news.get(run.row.id) ?? null);
    } catch (error) {
      this.options.onFault(error);
      for (const run of runs) run.lose();
    }
  }

  #open(run: LiveRun, entries: readonly JournalEntriesTable[], news: RunNews | null): void {
    void run.open(entries, news).then(
      () => this.#settled(run),
      (error: unknown) => this.#host.onFault(error, run),
    );
  }

  /** A run that cannot go on here is begun again from its journal, a while later, by whoever sees it first. */
  #giveUp({ row }: LiveRun): void {
    const wakeAt = new Date(this.options.now() + RETRY_RUN_MS).toISOString();
    void this.#journal.db
      .updateTable('journal_runs')
      .set({ owner: null, wake_at: wakeAt })
      .where('id', '=', row.id)
      .where('epoch', '=', row.epoch)
      .where('owner', '=', this.#journal.owner)
      .where('status', '=', 'running')
      .execute()
      .catch((error: unknown) => this.options.onFault(error));
  }

  #settled(run: LiveRun): void {
    if (this.#stopped || !run.idle || this.#runs.size <= this.options.runsInMemory) return;
    void run.letGo().catch((error: unknown) => this.#host.onFault(error, run));
  }

  #closed(run: LiveRun, how: Closing): void {
    const isHeld = this.#runs.get(run.row.id) === run;
    if (isHeld) this.#runs.delete(run.row.id);
    switch (how.kind) {
      case 'ended':
        for (const tell of this.#watchers) tell(run.row.workflow_id);
        break;
      case 'continued':
        if (!this.#stopped) void this.#load([how.next]);
        break;
      case 'released':
        if (how.lookAgain)
          void requestLook(this.#journal.db, run.row.id)
            .then(() => this.wake())
            .catch((error: unknown) => this.options.onFault(error));
        break;
      case 'lost':
        if (isHeld) this.#giveUp(run);
    }
    if (this.#moreWait) this.wake();
  }

  /** Called with the workflow of each run that ends in this process. */
  watch(tell: (workflowId: string) => void): Disposable {
    this.#watchers.add(tell);
    return { [Symbol.dispose]: () => void this.#watchers.delete(tell) };
  }

  find(runId: string): LiveRun | null {
    return this.#runs.get(runId) ?? null;
  }

  #beat(): void {
    if (this.#stopped) return;
    this.#beating ??= this.#keepLease()
      .catch((error: unknown) => this.options.onFault(error))
      .finally(() => (this.#beating = null));
  }

  async #keepLease(): Promise<void> {
    const { leaseMs, metadata, now } = this.options;
    const sentMs = performance.now();
    // The others may have taken the runs by now, whatever the database says when it answers again.
    const late = sentMs - this.#beatenMs > leaseMs;
    if (late) this.#loseAll();
    if (late || !(await this.#lease.beat(this.#journal.owner))) {
      this.#loseAll();
      const before = this.#journal.owner;
      this.#journal = { ...this.#journal, owner: await register(metadata.db, now()) };
      await unregister(metadata.db, before);
    }
    this.#beatenMs = sentMs;
    if (await this.#lease.takeFromDead(this.#journal.owner)) this.wake();
    await this.#sweep();
  }

  /** They are free as soon as this engine's name is no longer known. */
  #loseAll(): void {
    const runs = [...this.#runs.values()];
    this.#runs.clear();
    for (const run of runs) run.lose();
  }

  async #sweep(): Promise<void> {
    const { retentionMs, now, metadata } = this.options;
    if (this.#sweptMs > 0 && performance.now() - this.#sweptMs < RETENTION_EVERY_MS) return;
    this.#sweptMs = performance.now();
    await removeEnded(metadata.db, new Date(now() - retentionMs).toISOString());
  }

  /** Activities are told to end and given back; every run stays where its journal ends. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    for (const timer of this.#timers) clearInterval(timer);
    await this.#polling;
    await this.#beating;
    await Promise.all([...this.#runs.values()].map((run) => run.stop()));
    await this.#commits.drained();
    await unregister(this.#journal.db, this.#journal.owner);
  }
}
