/** Access tokens as connections ask for them: one that is good is given again, and one request runs at a time. */
import type { AccessToken, AccessTokens } from '../../core/credentials.ts';
import { asForebayError, ForebayError } from '../../core/errors.ts';

export type TokenRequest = (signal: AbortSignal) => Promise<AccessToken>;

const LONGEST_MARGIN_MS = 5 * 60_000;
/** Between tries to replace a token that is still good. */
const HOLD_OFF_MS = 30_000;

/** From when on a token that came at `nowMs` is replaced: the last fifth of its life, at most five minutes. */
export function renewalAtMs(token: AccessToken, nowMs: number): number {
  const lifeMs = Math.max(0, token.expiresAtMs - nowMs);
  return token.expiresAtMs - Math.min(LONGEST_MARGIN_MS, lifeMs / 5);
}

/** A request that several wait for; it is given up when nobody does any more. */
class SharedRequest {
  readonly #answer: Promise<AccessToken>;
  readonly #abort = new AbortController();
  #waiting = 0;
  #settled = false;

  constructor(request: TokenRequest) {
    this.#answer = request(this.#abort.signal).finally(() => {
      this.#settled = true;
    });
    // Whoever still waits is told; after the last has gone nobody wants to know.
    this.#answer.catch(() => {});
  }

  /** Answered, failed or given up: the next caller needs another one. */
  get isOver(): boolean {
    return this.#settled || this.#abort.signal.aborted;
  }

  async wait(signal: AbortSignal): Promise<AccessToken> {
    this.#waiting += 1;
    const gone = Promise.withResolvers<never>();
    const onAbort = (): void =>
      gone.reject(
        new ForebayError('interrupted', {
          message: 'interrupted while asking for an access token',
        }),
      );
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    try {
      return await Promise.race([this.#answer, gone.promise]);
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#waiting -= 1;
      if (this.#waiting === 0) this.#abort.abort();
    }
  }
}

export class TokenSource implements AccessTokens {
  readonly #request: TokenRequest;
  readonly #nowMs: () => number;
  #held: { readonly token: AccessToken; readonly renewAtMs: number } | null = null;
  #underWay: SharedRequest | null = null;

  constructor(request: TokenRequest, nowMs: () => number = Date.now) {
    this.#request = request;
    this.#nowMs = nowMs;
  }

  /** Fails with what the issuer said; a token that is still good outlasts an issuer that is away. */
  async fetch(signal: AbortSignal): Promise<AccessToken> {
    const held = this.#held;
    if (held !== null && this.#nowMs() < held.renewAtMs) return held.token;
    if (this.#underWay === null || this.#underWay.isOver) {
      this.#underWay = new SharedRequest((abort) => this.#renew(abort));
    }
    try {
      return await this.#underWay.wait(signal);
    } catch (error) {
      const isGood = held !== null && this.#nowMs() < held.token.expiresAtMs;
      if (!isGood || signal.aborted || asForebayError(error).class !== 'transient') throw error;
      this.#held = { token: held.token, renewAtMs: this.#nowMs() + HOLD_OFF_MS };
      return held.token;
    }
  }

  discard(token: AccessToken): void {
    if (this.#held?.token === token) this.#held = null;
  }

  async #renew(signal: AbortSignal): Promise<AccessToken> {
    const token = await this.#request(signal);
    this.#held = { token, renewAtMs: renewalAtMs(token, this.#nowMs()) };
    return token;
  }
}
