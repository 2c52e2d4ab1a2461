import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { acquireServerLock } from './server-lock.ts';

const folder = mkdtempSync(join(tmpdir(), 'fb-server-lock-'));
afterAll(() => rmSync(folder, { recursive: true }));

const running = expect.objectContaining({ code: 'server_running' });

describe('the lock of a data folder', () => {
  it('is held by one, under whatever name the folder is called, and given back', () => {
    const dataDir = join(folder, 'a');
    {
      using _held = acquireServerLock(dataDir);
      symlinkSync(dataDir, join(folder, 'link'));
      expect(() => acquireServerLock(dataDir)).toThrow(running);
      expect(() => acquireServerLock(join(folder, 'link'))).toThrow(running);
    }
    expect(existsSync(join(dataDir, 'server.lock'))).toBe(false);
    acquireServerLock(dataDir)[Symbol.dispose]();
  });

  it('of a process that is gone, or of a later one with its number, is taken over', async () => {
    const dataDir = mkdtempSync(join(folder, 'b-'));
    const child = spawn(process.execPath, ['-e', '']);
    await once(child, 'close');
    for (const holder of [`${child.pid} 1`, `${process.pid} 1`, '']) {
      writeFileSync(join(dataDir, 'server.lock'), holder);
      acquireServerLock(dataDir)[Symbol.dispose]();
    }
  });

  it('of a process that was killed is taken over', async () => {
    const dataDir = mkdtempSync(join(folder, 'c-'));
    const script = `import { acquireServerLock } from ${JSON.stringify(import.meta.resolve('./server-lock.ts'))};
      acquireServerLock(${JSON.stringify(dataDir)}); console.log('held'); setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    expect(() => acquireServerLock(dataDir)).toThrow(running);
    const closed = once(child, 'close');
    child.kill('SIGKILL');
    await closed;
    acquireServerLock(dataDir)[Symbol.dispose]();
  });
});
