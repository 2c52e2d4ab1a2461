/** How a connection proves who it is, where its URL does not say it. */
import type { Secret } from './secret.ts';

export interface AccessToken {
  readonly token: Secret;
  /** Since the epoch. */
  readonly expiresAtMs: number;
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
      /** Called for every new connection; gives a token that is good for one, a new one when the last nears its end. */
      fetch(signal: AbortSignal): Promise<AccessToken>;
    };
