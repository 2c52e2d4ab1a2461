/** Certificates and keys in PEM, looked at before a server sees them: what is wrong is told with its file. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { ForebayError } from './errors.ts';
import type { Secret } from './secret.ts';

export interface PemFile {
  readonly path: string;
  readonly bytes: Buffer;
}

export interface KeyPair {
  /** The certificate itself first, then those between it and the CA, if any. */
  readonly certificate: PemFile;
  readonly key: PemFile;
  readonly passphrase: Secret | null;
}

const ENCRYPTED_KEY = /^(?:-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: 4,ENCRYPTED)/m;

/** `what` names the file's part, e.g. `client certificate`. */
export function unreadable(what: string, path: string, cause: unknown): ForebayError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
  return new ForebayError('certificate_unreadable', {
    message: `The ${what} ${path} cannot be read`,
    why: code,
    cause,
  });
}

export function parseCertificate(what: string, file: PemFile): X509Certificate {
  try {
    return new X509Certificate(file.bytes);
  } catch (error) {
    throw new ForebayError('certificate_unreadable', {
      message: `The ${what} ${file.path} holds no certificate in PEM`,
      cause: error,
    });
  }
}

function parseKey({ key, passphrase }: KeyPair): KeyObject {
  const encrypted = ENCRYPTED_KEY.test(key.bytes.toString('latin1'));
  if (encrypted && passphrase === null) {
    throw new ForebayError('key_passphrase', {
      message: `The private key ${key.path} is encrypted, and no passphrase is given`,
    });
  }
  try {
    return createPrivateKey({
      key: key.bytes,
      format: 'pem',
      ...(passphrase === null ? {} : { passphrase: passphrase.reveal() }),
    });
  } catch (error) {
    if (encrypted) {
      throw new ForebayError('key_passphrase', {
        message: `The passphrase given does not open the private key ${key.path}`,
        cause: error,
      });
    }
    throw new ForebayError('certificate_unreadable', {
      message: `The private key ${key.path} holds no key in PEM`,
      cause: error,
    });
  }
}

/** Throws what a server would refuse, or would not even tell: no PEM, passphrase, key of another, out of date. */
export function checkKeyPair(pair: KeyPair, nowMs: number): void {
  const { path } = pair.certificate;
  const certificate = parseCertificate('client certificate', pair.certificate);
  if (!certificate.checkPrivateKey(parseKey(pair))) {
    throw new ForebayError('key_mismatch', {
      message: `The private key ${pair.key.path} does not belong to the client certificate ${path}`,
    });
  }
  const [from, to] = [certificate.validFromDate, certificate.validToDate];
  if (nowMs <= to.getTime() && nowMs >= from.getTime()) return;
  throw new ForebayError('certificate_expired', {
    message:
      nowMs > to.getTime()
        ? `The client certificate ${path} expired on ${to.toISOString()}`
        : `The client certificate ${path} is valid from ${from.toISOString()} only`,
  });
}
