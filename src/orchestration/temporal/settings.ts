import type { CodecKey } from './codec.ts';

export interface TemporalTls {
  /** PEM. */
  readonly serverRootCa?: Buffer;
  readonly serverName?: string;
  readonly clientCertificate?: { readonly certificate: Buffer; readonly key: Buffer };
}

export interface TemporalSettings {
  readonly address: string;
  readonly namespace: string;
  readonly taskQueue: string;
  /** Null is a connection in clear. */
  readonly tls: TemporalTls | null;
  /** The first one seals payloads; none leaves them in clear. */
  readonly payloadKeys: readonly CodecKey[];
}

interface SdkTls {
  serverRootCACertificate?: Buffer;
  serverNameOverride?: string;
  clientCertPair?: { crt: Buffer; key: Buffer };
}

/** In the SDK's words. */
export function tlsOf({ tls }: TemporalSettings): { readonly tls?: SdkTls } {
  if (tls === null) return {};
  const { serverRootCa, serverName, clientCertificate } = tls;
  return {
    tls: {
      ...(serverRootCa === undefined ? {} : { serverRootCACertificate: serverRootCa }),
      ...(serverName === undefined ? {} : { serverNameOverride: serverName }),
      ...(clientCertificate === undefined
        ? {}
        : { clientCertPair: { crt: clientCertificate.certificate, key: clientCertificate.key } }),
    },
  };
}
