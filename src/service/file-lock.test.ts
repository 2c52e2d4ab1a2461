import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

import { afterAll, expect, test, vi } from 'vitest';

import { lockFile } from './file-lock.ts';

const folder = mkdtempSync(join(tmpdir(), 'fb-lock-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function fileOf(name: string): { readonly path: string; readonly lock: string } {
  const path = join(folder, name);
  writeFileSync(path, '');
  const digest = createHash('sha256').update(realpathSync(path)).digest('hex').slice(0, 24);
  return { path, lock: join(tmpdir(), `forebay-${userInfo().uid}-${digest}.lock`) };
}

test('held by one; another name of the same file is the same file; free again afterwards', () => {
  const { path, lock } = fileOf('a.yaml');
  symlinkSync(path, join(folder, 'link.yaml'));
  {
    using _held = lockFile(path);
    expect(() => lockFile(join(folder, 'link.yaml'))).toThrow(
      expect.objectContaining({ code: 'service_running' }),
    );
  }
  expect(existsSync(lock)).toBe(false);
  lockFile(path)[Symbol.dispose]();
});

test('a lock of a process that is gone, or of another that got its number, holds nobody up', async () => {
  const { path, lock } = fileOf('b.yaml');
  const child = spawn(process.execPath, ['-e', '']);
  await once(child, 'close');
  for (const holder of [`${child.pid} 1`, `${process.pid} 1`, 'no lock of ours', '']) {
    writeFileSync(lock, holder);
    lockFile(path)[Symbol.dispose]();
    expect(existsSync(lock)).toBe(false);
  }
});

test('a link that was turned to another file meanwhile is still the same name', () => {
  const { path } = fileOf('v1.yaml');
  const other = fileOf('v2.yaml');
  const link = join(folder, 'current.yaml');
  symlinkSync(path, link);
  using _held = lockFile(link);
  rmSync(link);
  symlinkSync(other.path, link);
  expect(() => lockFile(link)).toThrow(expect.objectContaining({ code: 'service_running' }));
});

test('a lock that was cleaned away and is another process by now is left to it', () => {
  const { path, lock } = fileOf('c.yaml');
  const held = lockFile(path);
  writeFileSync(lock, '1 other');
  held[Symbol.dispose]();
  expect(readFileSync(lock, 'utf8')).toBe('1 other');
  rmSync(lock);
});

test('without a folder for temporary files there is no lock, and a reason', () => {
  const { path } = fileOf('d.yaml');
  vi.stubEnv('TMPDIR', join(folder, 'not-there'));
  try {
    using lock = lockFile(path);
    expect(lock.missing).toMatch(/ENOENT/);
  } finally {
    vi.unstubAllEnvs();
  }
});
