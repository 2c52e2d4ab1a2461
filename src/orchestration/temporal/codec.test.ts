import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type CodecKey, createCodec } from './codec.ts';

const key = (id: string): CodecKey => ({ id, key: Buffer.alloc(32, id) });
const payload = (text: string) => ({
  metadata: { encoding: Buffer.from('json/plain') },
  data: Buffer.from(text),
});

it('a payload is sealed, and opened by any key that is known', async () => {
  const old = createCodec([key('a')]);
  const rotated = createCodec([key('b'), key('a')]);
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'binary' }), async (text) => {
      const sealed = await old.encode([payload(`secret:${text}`)]);
      expect(Buffer.from(sealed[0]?.data ?? []).includes('secret:')).toBe(false);
      const [opened] = await rotated.decode(sealed);
      expect(Buffer.from(opened?.data ?? []).toString()).toBe(
        Buffer.from(`secret:${text}`).toString(),
      );
      expect(Buffer.from(opened?.metadata?.['encoding'] ?? []).toString()).toBe('json/plain');
    }),
    { numRuns: 50 },
  );
});

it('one that was changed, or sealed with an unknown key, is not opened', async () => {
  const codec = createCodec([key('a')]);
  const [sealed] = await codec.encode([payload('x')]);
  if (sealed?.data == null) throw new Error('nothing was sealed');
  const changed = Buffer.from(sealed.data);
  changed.writeUInt8(changed.readUInt8(changed.length - 1) ^ 1, changed.length - 1);
  await expect(codec.decode([{ ...sealed, data: changed }])).rejects.toThrow();
  await expect(createCodec([key('b')]).decode([sealed])).rejects.toMatchObject({
    code: 'secret_key',
  });
});

it('one in clear stays as it is', async () => {
  const codec = createCodec([key('a')]);
  expect(await codec.decode([payload('x')])).toEqual([payload('x')]);
});
