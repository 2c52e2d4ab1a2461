import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { FileWatch } from './file-watch.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fb-watch-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const hash = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Resolves with the number of changes told once there are that many. */
async function told(changed: ReturnType<typeof vi.fn>, times: number): Promise<void> {
  await vi.waitFor(() => expect(changed).toHaveBeenCalledTimes(times), {
    timeout: 5000,
    interval: 10,
  });
}

test('written in place, renamed over, and not again for the same content', async () => {
  const path = join(folder, 'a.yaml');
  writeFileSync(path, 'one');
  const changed = vi.fn<() => void>();
  using _watch = new FileWatch(path, hash('one'), changed);
  writeFileSync(path, 'two');
  await told(changed, 1);
  writeFileSync(`${path}.new`, 'three');
  renameSync(`${path}.new`, path);
  await told(changed, 2);
  writeFileSync(`${path}.new`, 'three');
  renameSync(`${path}.new`, path);
  writeFileSync(join(folder, 'other'), 'x');
  writeFileSync(path, 'four');
  await told(changed, 3);
});

test('a link that is turned to another folder, as a mounted volume does it', async () => {
  for (const [version, text] of [
    ['v1', 'one'],
    ['v2', 'two'],
  ] as const) {
    mkdirSync(join(folder, version));
    writeFileSync(join(folder, version, 'a.yaml'), text);
  }
  symlinkSync('v1', join(folder, 'data'));
  symlinkSync(join('data', 'a.yaml'), join(folder, 'a.yaml'));
  const changed = vi.fn<() => void>();
  using _watch = new FileWatch(join(folder, 'a.yaml'), hash('one'), changed);
  symlinkSync('v2', join(folder, 'data.new'));
  renameSync(join(folder, 'data.new'), join(folder, 'data'));
  await told(changed, 1);
});

test('a change between reading and watching; gone for a while and back', async () => {
  const path = join(folder, 'a.yaml');
  writeFileSync(path, 'two');
  const changed = vi.fn<() => void>();
  using _watch = new FileWatch(path, hash('one'), changed);
  await told(changed, 1);
  rmSync(path);
  writeFileSync(path, 'three');
  await told(changed, 2);
});

test('a file that is gone is told, and that it is there again with the same content', async () => {
  const path = join(folder, 'a.yaml');
  writeFileSync(path, 'one');
  const changed = vi.fn<() => void>();
  using _watch = new FileWatch(path, hash('one'), changed);
  rmSync(path);
  await told(changed, 1);
  writeFileSync(path, 'one');
  await told(changed, 2);
});
