/** Looks into the source's catalog from time to time: tables that appeared, went, were made anew or got a part. */
import type { CatalogStream, ChangeCapability } from '../core/connector.ts';
import { asForebayError } from '../core/errors.ts';
import type { Position } from '../core/position.ts';
import { type StreamId, streamId } from '../core/stream-schema.ts';
import type { Attempt } from './attempt.ts';
import type { Gaps } from './gaps.ts';
import type { HeldTables } from './held-tables.ts';
import { matches } from './selection.ts';
import { pauseOf, type RunningStream, toRecord } from './stream-state.ts';
import { isHeld, targetFor, whyNotJoin } from './targets.ts';

const POLL_MS = 3000;

export interface CatalogWatchOptions {
  readonly attempt: Attempt;
  readonly held: HeldTables;
  readonly changes: Pick<ChangeCapability, 'comparePositions' | 'currentPosition' | 'memberships'>;
  /** The stream's table is gone: nothing of it is loaded any more. */
  readonly letGo: (stream: RunningStream) => void;
  readonly reread: (stream: RunningStream) => void;
  readonly gaps: Gaps;
  /** `replaces`: a table of this name was there before. */
  readonly admit: (entry: CatalogStream, replaces: boolean) => Promise<void>;
}

interface Leaving {
  readonly stream: RunningStream;
  readonly after: Position;
  readonly reason: string;
}

export class CatalogWatch {
  readonly #options: CatalogWatchOptions;
  readonly #leaving: Leaving[] = [];
  /** Tables that may not join, told once. */
  readonly #leftOut = new Set<StreamId>();
  #lastPollAt = Number.NEGATIVE_INFINITY;

  constructor(options: CatalogWatchOptions) {
    this.#options = options;
  }

  /** Tables that are gone and whose last changes are still to be applied. */
  get waiting(): number {
    return this.#leaving.length;
  }

  /** One look, between two transactions. `applied` is what the destination has. */
  async step(applied: Position): Promise<void> {
    await this.#leave(applied);
    if (performance.now() - this.#lastPollAt >= POLL_MS) await this.poll();
  }

  /** False if somebody holds a table so that nothing can be seen now. */
  async poll(): Promise<boolean> {
    const { attempt, changes, gaps } = this.#options;
    // Before the catalog: a table that is dropped in between is not taken for one that is no longer sent.
    const memberships = await changes.memberships(
      attempt.spec.name,
      [...attempt.streams.values()].map(({ target }) => target.schema),
    );
    const catalog = await this.#discover();
    this.#lastPollAt = performance.now();
    if (catalog === null) return false;
    const byId = new Map(catalog.map((entry) => [streamId(entry.schema.stream), entry]));
    for (const stream of attempt.streams.values()) {
      const entry = byId.get(stream.target.id);
      await this.#noteGone(stream, entry);
      if (entry?.schema.ref === stream.target.schema.ref) gaps.look(stream, memberships);
      await this.#noteAttached(stream, entry);
    }
    for (const entry of catalog) await this.#noteNew(entry);
    return true;
  }

  async #discover(): Promise<readonly CatalogStream[] | null> {
    const { attempt, held } = this.#options;
    if (held.mustWait(null)) return null;
    try {
      const catalog = await attempt.source.discover();
      held.forget(null);
      return catalog;
    } catch (error) {
      const failure = asForebayError(error);
      if (failure.code !== 'table_held') throw failure;
      held.failed(null);
      return null;
    }
  }

  async #noteGone(stream: RunningStream, entry: CatalogStream | undefined): Promise<void> {
    const { schema } = stream.target;
    const active =
      stream.state !== 'paused' && !this.#leaving.some((leaving) => leaving.stream === stream);
    if (!active || entry?.schema.ref === schema.ref) return;
    const what = entry === undefined ? 'was dropped or renamed' : 'was dropped and made anew';
    this.#leaving.push({
      stream,
      after: await this.#options.changes.currentPosition(),
      reason: `${stream.target.id} ${what} at the source`,
    });
  }

  /** Rows of a partition that was attached are in no change. */
  async #noteAttached(stream: RunningStream, entry: CatalogStream | undefined): Promise<void> {
    const { attempt } = this.#options;
    if (stream.state !== 'streaming' || entry?.schema.ref !== stream.target.schema.ref) return;
    const attached = entry.attached ?? [];
    const isNew = attached.some((part) => !stream.attached.includes(part));
    stream.attached = attached;
    if (!isNew) return;
    this.#options.reread(stream);
    await attempt.session.save([toRecord(stream)], null);
    const message = 'a partition was attached; the table is read again';
    attempt.progress.emit({ event: 'notice', message }, stream.target.id);
  }

  /** What the log still holds for a table that is gone has been applied: now it is let go. */
  async #leave(applied: Position): Promise<void> {
    const { attempt, changes } = this.#options;
    let isGone = false;
    for (const leaving of this.#leaving.splice(0)) {
      if (changes.comparePositions(applied, leaving.after) < 0) {
        this.#leaving.push(leaving);
        continue;
      }
      const { stream } = leaving;
      if (stream.state === 'paused') continue;
      this.#options.letGo(stream);
      stream.state = 'paused';
      stream.pause = pauseOf('table_dropped', leaving.reason);
      await attempt.session.save([toRecord(stream)], null);
      attempt.progress.emit({ event: 'stream-paused', ...stream.pause }, stream.target.id);
      isGone = true;
    }
    // What has its name, or is it under another, joins at once: a run that ends when caught up would leave it out.
    if (isGone) await this.poll();
  }

  async #noteNew(entry: CatalogStream): Promise<void> {
    const { attempt } = this.#options;
    const { schema } = entry;
    const id = streamId(schema.stream);
    if (!entry.readable || !matches(attempt.spec.selection, id)) return;
    const known = attempt.streams.get(id);
    const replaces = known?.state === 'paused' && known.target.schema.ref !== schema.ref;
    if (known !== undefined && !replaces) return;
    const others = [...attempt.streams.values()];
    if (isHeld(schema.ref, others)) return;
    const refusal = whyNotJoin(targetFor(attempt.spec, schema), others, attempt.sameSystem);
    if (refusal !== null) {
      const message = `is left out: ${refusal.message}`;
      if (!this.#leftOut.has(id)) attempt.progress.emit({ event: 'notice', message }, id);
      this.#leftOut.add(id);
      return;
    }
    if (replaces && attempt.spec.schemaChanges === 'pause') return;
    await this.#options.admit(entry, replaces);
  }
}
