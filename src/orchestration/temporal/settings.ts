import type { Secret } from '../../core/secret.ts';
import type { CodecKey } from './codec.ts';

export interface TemporalTls {
  /** PEM; null: the authorities that the machine trusts. */
  readonly ca: string | null;
  readonly client: { readonly certificate: string; readonly key: Secret } | null;
  readonly serverName: string | null;
}

export interface TemporalSettings {
  readonly address: string;
  readonly namespace: string;
  readonly taskQueue: string;
  /** Null is a connection in clear. */
  readonly tls: TemporalTls | null;
  readonly apiKey: Secret | null;
  /** The first one seals payloads; none leaves them in clear. */
  readonly payloadKeys: readonly CodecKey[];
}

interface SdkTls {
  serverRootCACertificate?: Buffer;
  serverNameOverride?: string;
  clientCertPair?: { crt: Buffer; key: Buffer };
}

/** In the SDK's words. */
export function connectionOptions({ address, tls, apiKey }: TemporalSettings): {
  readonly address: string;
  readonly tls?: SdkTls;
  readonly apiKey?: string;
} {
  const key = apiKey === null ? {} : { apiKey: apiKey.reveal() };
  if (tls === null) return { address, ...key };
  const { ca, serverName, client } = tls;
  const sdk: SdkTls = {
    ...(ca === null ? {} : { serverRootCACertificate: Buffer.from(ca) }),
    ...(serverName === null ? {} : { serverNameOverride: serverName }),
    ...(client === null
      ? {}
      : {
          clientCertPair: {
            crt: Buffer.from(client.certificate),
            key: Buffer.from(client.key.reveal()),
          },
        }),
  };
  return { address, tls: sdk, ...key };
}
