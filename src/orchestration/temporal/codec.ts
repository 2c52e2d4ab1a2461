/** Payloads are sealed before they leave the process: AES-256-GCM, the key's id in clear beside them. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { Payload, PayloadCodec } from '@temporalio/common';
import { ForebayError } from '../../core/errors.ts';

const ENCODING = Buffer.from('binary/aes-256-gcm');
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export interface CodecKey {
  readonly id: string;
  /** 32 bytes. */
  readonly key: Buffer;
}

/** A payload as text: its metadata are base64, as in Temporal's own JSON form. */
function pack({ metadata, data }: Payload): Buffer {
  const texts = Object.entries(metadata ?? {}).map(([name, value]) => [
    name,
    Buffer.from(value).toString('base64'),
  ]);
  const head = Buffer.from(JSON.stringify(Object.fromEntries(texts)));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(head.length);
  return Buffer.concat([length, head, data ?? Buffer.alloc(0)]);
}

function unpack(packed: Buffer): Payload {
  const from = 4 + packed.readUInt32BE(0);
  const texts = JSON.parse(packed.toString('utf8', 4, from)) as Record<string, string>;
  const metadata = Object.fromEntries(
    Object.entries(texts).map(([name, value]) => [name, Buffer.from(value, 'base64')]),
  );
  return { metadata, data: packed.subarray(from) };
}

/** The first key seals; all of them open. */
export function createCodec(keys: readonly [CodecKey, ...CodecKey[]]): PayloadCodec {
  const [current] = keys;
  const seal = (payload: Payload): Payload => {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', current.key, nonce);
    const sealed = Buffer.concat([cipher.update(pack(payload)), cipher.final()]);
    return {
      metadata: { encoding: ENCODING, 'encryption-key-id': Buffer.from(current.id) },
      data: Buffer.concat([nonce, cipher.getAuthTag(), sealed]),
    };
  };
  const open = (payload: Payload): Payload => {
    const { encoding, 'encryption-key-id': keyId } = payload.metadata ?? {};
    if (encoding === undefined || !ENCODING.equals(encoding)) return payload;
    const id = Buffer.from(keyId ?? []).toString();
    const found = keys.find((key) => key.id === id);
    if (found === undefined)
      throw new ForebayError('secret_key', { message: `there is no payload key ${id}` });
    const data = Buffer.from(payload.data ?? []);
    const decipher = createDecipheriv('aes-256-gcm', found.key, data.subarray(0, NONCE_BYTES));
    decipher.setAuthTag(data.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
    const sealed = data.subarray(NONCE_BYTES + TAG_BYTES);
    return unpack(Buffer.concat([decipher.update(sealed), decipher.final()]));
  };
  return {
    encode: async (payloads) => payloads.map(seal),
    decode: async (payloads) => payloads.map(open),
  };
}
