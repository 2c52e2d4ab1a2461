/** What a TLS connection takes along, and what its failures mean. */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { checkServerIdentity, type ConnectionOptions } from 'node:tls';
import {
  checkKeyPair,
  parseCertificate,
  type PemFile,
  unreadable,
} from '../../core/certificate.ts';
import { ForebayError } from '../../core/errors.ts';
import { type PostgresConfig, printServer } from './config.ts';

function readPem(what: string, path: string): PemFile {
  try {
    return { path, bytes: readFileSync(path) };
  } catch (error) {
    throw unreadable(what, path, error);
  }
}

function authority(config: PostgresConfig): Pick<ConnectionOptions, 'ca'> {
  if (config.sslRootCert === null || config.sslRootCert === 'system') return {};
  const file = readPem('CA certificate', config.sslRootCert);
  parseCertificate('CA certificate', file);
  return { ca: file.bytes };
}

function clientIdentity(
  config: PostgresConfig,
): Pick<ConnectionOptions, 'cert' | 'key' | 'passphrase'> {
  if (config.sslCert === null || config.sslKey === null) return {};
  const passphrase = config.sslPassphrase;
  const certificate = readPem('client certificate', config.sslCert);
  const key = readPem('private key', config.sslKey);
  checkKeyPair({ certificate, key, passphrase }, Date.now());
  return {
    cert: certificate.bytes,
    key: key.bytes,
    ...(passphrase === null ? {} : { passphrase: passphrase.reveal() }),
  };
}

/** Files are read anew each time, so that those renewed are taken without a restart. */
export function tlsOptions(config: PostgresConfig): ConnectionOptions {
  const verifies =
    config.sslMode === 'verify-full' ||
    config.sslMode === 'verify-ca' ||
    (config.sslMode === 'require' && config.sslRootCert !== null);
  const host = config.host ?? 'localhost';
  return {
    rejectUnauthorized: verifies,
    minVersion: 'TLSv1.2',
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...authority(config),
    ...clientIdentity(config),
    checkServerIdentity: (_name, certificate) =>
      config.sslMode === 'verify-full' ? checkServerIdentity(host, certificate) : undefined,
  };
}

/** Alerts of a server that looked at the client's certificate (RFC 8446, section 6.2), as OpenSSL names them. */
const CERTIFICATE_ALERT =
  /ALERT_(BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_\w+|UNKNOWN_CA|NO_CERTIFICATE|DECRYPT_ERROR|ACCESS_DENIED)$/;

/** The server's refusal of the client's certificate, which with TLS 1.3 comes after the handshake; else null. */
export function certificateRefusal(error: Error, config: PostgresConfig): ForebayError | null {
  const systemCode = 'code' in error && typeof error.code === 'string' ? error.code : '';
  const alert = CERTIFICATE_ALERT.exec(systemCode)?.[1];
  if (alert === undefined || config.sslCert === null) return null;
  return new ForebayError(
    alert === 'CERTIFICATE_EXPIRED' ? 'certificate_expired' : 'certificate_refused',
    {
      message: `${printServer(config)} refuses the client certificate ${config.sslCert}`,
      why: alert.toLowerCase().replaceAll('_', ' '),
      systemCode,
      cause: error,
    },
  );
}

export function tlsFailure(error: Error, config: PostgresConfig): ForebayError {
  return (
    certificateRefusal(error, config) ??
    new ForebayError('tls_refused', {
      message: `TLS with ${printServer(config)} failed`,
      // Node adds advice on its own options.
      why: error.message.replace(/; if the root CA .*$/s, ''),
      cause: error,
    })
  );
}
