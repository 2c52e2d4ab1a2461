/** How a connection proves who it is, where its URL does not say it. */
import type { Secret } from './secret.ts';

export interface AccessToken {
  readonly token: Secret;
  /** Since the epoch. */
  readonly expiresAtMs: number;
}

export interface AccessTokens {
  /** Called for every new connection; gives a token that is good for one, a new one when the last nears its end. */
  fetch(signal: AbortSignal): Promise<AccessToken>;
  /** A system has refused it: it is not given again. */
  discard(token: AccessToken): void;
}

/** Without a username, the URL's user connects. */
export type Credentials =
  | { readonly kind: 'password'; readonly username: string; readonly password: Secret }
  | {
      readonly kind: 'certificate';
      readonly username: string | null;
      /** Paths of PEM files, read anew for every connection. */
      readonly certFile: string;
      readonly keyFile: string;
      readonly caFile: string | null;
      readonly passphrase: Secret | null;
    }
  | {
      readonly kind: 'token';
      readonly username: string | null;
      readonly tokens: AccessTokens;
    };
