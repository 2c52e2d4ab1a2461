/**
 * Streams whose changes the source has not sent for a while: their table was taken out of what it sends, or what it
 * sends of it was narrowed, and perhaps put back. What came before the gap is still to be applied, so the table is
 * emptied and read again when everything is that was committed before the gap was closed.
 */
import type { ChangeCapability, Memberships } from '../core/connector.ts';
import { asForebayError, type ForebayError } from '../core/errors.ts';
import { failpoint, failpointsArmed } from '../core/failpoint.ts';
import type { Position } from '../core/position.ts';
import type { Attempt } from './attempt.ts';
import { concernsOneStream, pauseStream } from './snapshot-phase.ts';
import { hasHistory, type RunningStream, toRecord } from './stream-state.ts';
import { needsExactStart } from './targets.ts';

export interface GapsOptions {
  readonly attempt: Attempt;
  readonly changes: Pick<ChangeCapability, 'comparePositions' | 'currentPosition'>;
  /** Has the source send all changes of the stream from now on; how it does is the result. */
  readonly publish: (stream: RunningStream) => Promise<string | null>;
  readonly letGo: (stream: RunningStream) => void;
  readonly reread: (stream: RunningStream) => void;
}

type Closed =
  | { readonly kind: 'closed'; readonly membership: string | null; readonly after: Position }
  | { readonly kind: 'failed'; readonly error: ForebayError };

export class Gaps {
  readonly #options: GapsOptions;
  /** Null while the gap is being closed. */
  readonly #open = new Map<RunningStream, Closed | null>();

  constructor(options: GapsOptions) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#open.size;
  }

  /** `memberships` are those of a moment when the stream's table was there. */
  look(stream: RunningStream, memberships: Memberships): void {
    if (stream.state !== 'streaming' && stream.state !== 'snapshot') return;
    if (this.#open.has(stream)) return;
    const now = memberships.get(stream.target.id) ?? null;
    if (now !== null) stream.membership ??= now;
    if (now === stream.membership && now !== null) return;
    const message =
      now === null
        ? 'was taken out of the publication; it is read again'
        : 'what the publication sends of it was changed by somebody; it is read again';
    this.#options.attempt.progress.emit({ event: 'notice', message }, stream.target.id);
    // Rows that nothing tells apart cannot be changed without those that were missed.
    if (needsExactStart(stream.target) && !hasHistory(stream)) stream.state = 'snapshot';
    this.#options.letGo(stream);
    this.#open.set(stream, null);
    void this.#close(stream).then((closed) => this.#open.set(stream, closed));
  }

  /** `applied` is what the destination has. */
  async step(applied: Position): Promise<void> {
    for (const [stream, closed] of this.#open) {
      if (stream.state === 'paused') this.#open.delete(stream);
      else if (closed?.kind === 'failed') await this.#failed(stream, closed.error);
      else if (closed?.kind === 'closed') await this.#readAgain(stream, closed, applied);
    }
  }

  async #close(stream: RunningStream): Promise<Closed> {
    try {
      const membership = await this.#options.publish(stream);
      return { kind: 'closed', membership, after: await this.#options.changes.currentPosition() };
    } catch (error) {
      return { kind: 'failed', error: asForebayError(error) };
    }
  }

  async #failed(stream: RunningStream, error: ForebayError): Promise<void> {
    if (!concernsOneStream(error)) throw error;
    this.#open.delete(stream);
    await pauseStream(this.#options.attempt, stream, error);
  }

  async #readAgain(
    stream: RunningStream,
    closed: Extract<Closed, { kind: 'closed' }>,
    applied: Position,
  ): Promise<void> {
    const { attempt, changes, reread } = this.#options;
    if (changes.comparePositions(applied, closed.after) < 0) return;
    this.#open.delete(stream);
    // Where deletes are ignored, what is to be kept would be lost, and nothing that was missed takes a row away.
    const removeRows = stream.target.deletes !== 'ignore';
    await attempt.session.resetSnapshot(stream.target, { removeRows });
    if (failpointsArmed) await failpoint('resync.beforeRecord');
    stream.membership = closed.membership;
    reread(stream);
    await attempt.session.save([toRecord(stream)], null);
  }
}
