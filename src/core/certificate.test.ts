import { describe, expect, test } from 'vitest';

import { keyPem, makeAuthority, makeCertificate } from '../../test/support/certificates.ts';
import { checkKeyPair, type KeyPair, parseCertificate } from './certificate.ts';
import { Secret } from './secret.ts';

const authority = makeAuthority('test authority');
const client = makeCertificate(authority, {
  name: 'ada',
  from: new Date('2026-01-01T00:00:00Z'),
  to: new Date('2026-12-31T00:00:00Z'),
});
const within = Date.parse('2026-06-01T00:00:00Z');

const pem = (path: string, text: string) => ({ path, bytes: Buffer.from(text) });

function pair(over: Partial<KeyPair> = {}): KeyPair {
  return {
    certificate: pem('/c/ada.crt', client.certificate),
    key: pem('/c/ada.key', keyPem(client.key)),
    passphrase: null,
    ...over,
  };
}

function failure(given: KeyPair, nowMs = within): unknown {
  try {
    checkKeyPair(given, nowMs);
    return null;
  } catch (error) {
    return error;
  }
}

const encrypted = pem('/c/ada.key', keyPem(client.key, 'open sesame'));

describe('a client certificate with its key', () => {
  test('passes', () => {
    expect(failure(pair())).toBeNull();
  });

  test('passes with the passphrase of an encrypted key', () => {
    expect(failure(pair({ key: encrypted, passphrase: new Secret('open sesame') }))).toBeNull();
  });

  test('needs the passphrase of an encrypted key', () => {
    expect(failure(pair({ key: encrypted }))).toMatchObject({
      code: 'key_passphrase',
      message: expect.stringContaining('/c/ada.key'),
    });
  });

  test('is refused with a wrong passphrase, which is not repeated', () => {
    const error = failure(pair({ key: encrypted, passphrase: new Secret('hunter2') }));
    expect(error).toMatchObject({ code: 'key_passphrase' });
    expect(String(error)).not.toContain('hunter2');
  });

  test('must belong together', () => {
    const other = makeCertificate(authority, { name: 'bob' });
    expect(failure(pair({ key: pem('/c/bob.key', keyPem(other.key)) }))).toMatchObject({
      code: 'key_mismatch',
      message: expect.stringMatching(/\/c\/bob\.key .* \/c\/ada\.crt/),
    });
  });

  test('has an end and a beginning', () => {
    expect(failure(pair(), Date.parse('2027-01-01T00:00:00Z'))).toMatchObject({
      code: 'certificate_expired',
      message: expect.stringContaining('2026-12-31'),
    });
    expect(failure(pair(), Date.parse('2025-12-31T00:00:00Z'))).toMatchObject({
      code: 'certificate_expired',
      message: expect.stringContaining('from 2026-01-01'),
    });
  });

  test.each(['', 'no certificate', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'])(
    'must be PEM: %j',
    (text) => {
      const error = { code: 'certificate_unreadable', message: expect.stringContaining('/c/x') };
      expect(failure(pair({ certificate: pem('/c/x', text) }))).toMatchObject(error);
      expect(failure(pair({ key: pem('/c/x', text) }))).toMatchObject(error);
    },
  );
});

test('a CA is read as a certificate', () => {
  const file = pem('/c/ca.crt', authority.certificate);
  expect(parseCertificate('CA certificate', file).subject).toBe('CN=test authority');
});
