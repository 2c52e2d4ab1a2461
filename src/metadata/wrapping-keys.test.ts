import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { loadWrappingKeys, parseWrappingKey } from './wrapping-keys.ts';

const folder = mkdtempSync(join(tmpdir(), 'fb-keys-'));
afterAll(() => rmSync(folder, { recursive: true }));

const bytes = Buffer.from([...Array(32).keys()].map((number) => (number * 7) % 256));
const refused = { code: 'secret_key' };

describe('a wrapping key', () => {
  it('is the same in hexadecimal and both kinds of base64', () => {
    const texts = [
      bytes.toString('hex'),
      bytes.toString('hex').toUpperCase(),
      bytes.toString('base64'),
      bytes.toString('base64url'),
      `  ${bytes.toString('base64')}\n`,
    ];
    const ids = texts.map((text) => parseWrappingKey(text, 'a test').id);
    expect(new Set(ids).size).toBe(1);
    expect(ids[0]).toMatch(/^[0-9a-f]{16}$/u);
  });

  it('of another length, or of nothing readable, is refused without being told', () => {
    const texts = ['', 'password', bytes.toString('base64').slice(4), `${bytes.toString('hex')}00`];
    for (const text of texts)
      expect(() => parseWrappingKey(text, 'FOREBAY_SECRET_KEY')).toThrow(
        expect.objectContaining(refused),
      );
    expect(() => parseWrappingKey('hunter2', 'x')).not.toThrow('hunter2');
  });

  it('comes from the environment first, then from the file it names', async () => {
    const path = join(folder, 'given.key');
    writeFileSync(path, `${bytes.toString('hex')}\n`);
    const other = { FOREBAY_SECRET_KEY: '22'.repeat(32), FOREBAY_SECRET_KEY_FILE: path };
    const dataDir = join(folder, 'unused');
    const first = await loadWrappingKeys({ environment: other, dataDir });
    const second = await loadWrappingKeys({
      environment: { FOREBAY_SECRET_KEY_FILE: path },
      dataDir,
    });
    expect(first.current.id).toBe(parseWrappingKey('22'.repeat(32), 'a test').id);
    expect(second.current.id).toBe(parseWrappingKey(bytes.toString('hex'), 'a test').id);
  });

  it('comes with former ones, from the environment or a file, without itself', async () => {
    const [now, one, two] = ['11', '22', '33'].map((digits) => digits.repeat(32));
    const former = `${one}, ${now},${two}`;
    const given = { FOREBAY_SECRET_KEY: now, FOREBAY_SECRET_KEY_FORMER: former };
    const keys = await loadWrappingKeys({ environment: given, dataDir: null });
    const ids = [one, two].map((key) => parseWrappingKey(key ?? '', 'a test').id);
    expect(keys.former.map(({ id }) => id)).toEqual(ids);
    const path = join(folder, 'former.key');
    writeFileSync(path, `${one}\n${two}\n`);
    const named = { FOREBAY_SECRET_KEY: now, FOREBAY_SECRET_KEY_FORMER_FILE: path };
    const read = await loadWrappingKeys({ environment: named, dataDir: null });
    expect(read.former.map(({ id }) => id)).toEqual(ids);
  });

  it('of former ones that cannot be read is told by its place alone', async () => {
    const given = {
      FOREBAY_SECRET_KEY: '11'.repeat(32),
      FOREBAY_SECRET_KEY_FORMER: `${'22'.repeat(32)},hunter2`,
    };
    const loaded = loadWrappingKeys({ environment: given, dataDir: null });
    await expect(loaded).rejects.toMatchObject({
      ...refused,
      message: expect.stringMatching(/^key 2 of FOREBAY_SECRET_KEY_FORMER holds no key/),
    });
    await expect(loaded).rejects.not.toThrow('hunter2');
    const environment = { FOREBAY_SECRET_KEY_FORMER_FILE: join(folder, 'no-former.key') };
    const dataDir = mkdtempSync(join(folder, 'data-'));
    await expect(loadWrappingKeys({ environment, dataDir })).rejects.toMatchObject(refused);
    expect(await readdir(dataDir)).toEqual([]);
  });

  it('that is named and not there is not made up', async () => {
    const environment = { FOREBAY_SECRET_KEY_FILE: join(folder, 'missing.key') };
    await expect(loadWrappingKeys({ environment, dataDir: folder })).rejects.toMatchObject(refused);
    await expect(loadWrappingKeys({ environment: {}, dataDir: null })).rejects.toMatchObject(
      refused,
    );
  });

  it('is made once in the data folder, for its owner alone, by whoever is first', async () => {
    const dataDir = mkdtempSync(join(folder, 'data-'));
    const load = () => loadWrappingKeys({ environment: {}, dataDir });
    const ids = (await Promise.all([load(), load(), load()])).map(({ current }) => current.id);
    expect(new Set([...ids, (await load()).current.id]).size).toBe(1);
    expect(await readdir(dataDir)).toEqual(['secret.key']);
    const path = join(dataDir, 'secret.key');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(parseWrappingKey(readFileSync(path, 'utf8'), 'a test').id).toBe(ids[0]);
  });
});
