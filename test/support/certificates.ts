// X.509 certificates for tests (RFC 5280), made by Node alone: a CA, and what it signs, with any validity.
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import { join } from 'node:path';

export interface Certificate {
  /** PEM. */
  readonly certificate: string;
  readonly key: KeyObject;
  readonly name: string;
}

export interface CertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

interface Order {
  readonly name: string;
  /** Host names and IPv4 addresses of a server. */
  readonly hosts?: readonly string[];
  /** An RSA key instead of an elliptic one. */
  readonly rsa?: true;
  readonly from?: Date;
  readonly to?: Date;
}

const DAY_MS = 24 * 60 * 60 * 1000;
const ids = {
  commonName: '550403',
  ecdsaWithSha256: '2a8648ce3d040302',
  basicConstraints: '551d13',
  alternativeNames: '551d11',
};

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const size = body.length;
  const long = size < 256 ? [0x81, size] : [0x82, size >> 8, size & 0xff];
  return Buffer.concat([Buffer.from([tag, ...(size < 128 ? [size] : long)]), body]);
}

const sequence = (...parts: readonly Buffer[]): Buffer => der(0x30, ...parts);
const objectId = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'));
const bitString = (bytes: Buffer): Buffer => der(0x03, Buffer.from([0]), bytes);
const isTrue = der(0x01, Buffer.from([0xff]));
const algorithm = sequence(objectId(ids.ecdsaWithSha256));

function nameOf(commonName: string): Buffer {
  const value = der(0x0c, Buffer.from(commonName));
  return sequence(der(0x31, sequence(objectId(ids.commonName), value)));
}

function time(date: Date): Buffer {
  return der(0x18, Buffer.from(date.toISOString().replace(/[-:T]|\.\d+/g, '')));
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  return sequence(objectId(id), ...(critical ? [isTrue] : []), der(0x04, value));
}

function alternativeName(host: string): Buffer {
  return isIPv4(host)
    ? der(0x87, Buffer.from(host.split('.').map(Number)))
    : der(0x82, Buffer.from(host));
}

function make(order: Order, issuer: Certificate | null): Certificate {
  const { privateKey, publicKey } =
    order.rsa === true
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const extensions = [
    ...(issuer === null ? [extension(ids.basicConstraints, true, sequence(isTrue))] : []),
    ...(order.hosts === undefined
      ? []
      : [extension(ids.alternativeNames, false, sequence(...order.hosts.map(alternativeName)))]),
  ];
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(15)])),
    algorithm,
    nameOf(issuer?.name ?? order.name),
    sequence(
      time(order.from ?? new Date(Date.now() - DAY_MS)),
      time(order.to ?? new Date(Date.now() + DAY_MS)),
    ),
    nameOf(order.name),
    publicKey.export({ type: 'spki', format: 'der' }),
    ...(extensions.length === 0 ? [] : [der(0xa3, sequence(...extensions))]),
  );
  const signature = sign('sha256', body, issuer?.key ?? privateKey);
  const base64 = sequence(body, algorithm, bitString(signature)).toString('base64');
  const lines = base64.replace(/.{1,64}/g, '$&\n');
  return {
    certificate: `-----BEGIN CERTIFICATE-----\n${lines}-----END CERTIFICATE-----\n`,
    key: privateKey,
    name: order.name,
  };
}

export function makeAuthority(name: string): Certificate {
  return make({ name }, null);
}

export function makeCertificate(authority: Certificate, order: Order): Certificate {
  return make(order, authority);
}

/** The key in PEM, encrypted with a passphrase where one is given. */
export function keyPem(key: KeyObject, passphrase?: string): string {
  const plain = { type: 'pkcs8', format: 'pem' } as const;
  return key
    .export(passphrase === undefined ? plain : { ...plain, cipher: 'aes-256-cbc', passphrase })
    .toString();
}

export function writeCertificate(
  folder: string,
  { certificate, key, name }: Certificate,
  passphrase?: string,
): CertificateFiles {
  const files = { certFile: join(folder, `${name}.crt`), keyFile: join(folder, `${name}.key`) };
  writeFileSync(files.certFile, certificate);
  writeFileSync(files.keyFile, keyPem(key, passphrase), { mode: 0o600 });
  return files;
}
