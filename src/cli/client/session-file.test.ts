import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { readSessions, removeSession, sessionPath, storeSession } from './session-file.ts';

const SESSION = { token: 't', email: 'ada@example.org', expires_at: null };
let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fb-sessions-'));
  path = sessionPath({ XDG_CONFIG_HOME: folder });
});
afterEach(() => rmSync(folder, { recursive: true }));

test('what is kept is read again, and the last one is meant', () => {
  storeSession(path, 'https://a', SESSION);
  storeSession(path, 'https://b', { ...SESSION, token: 'u' });
  expect(readSessions(path)).toEqual({
    v: 1,
    current: 'https://b',
    servers: { 'https://a': SESSION, 'https://b': { ...SESSION, token: 'u' } },
  });
});

test('only its owner can read it, also where it replaces one that others could read', () => {
  storeSession(path, 'https://a', SESSION);
  rmSync(path);
  writeFileSync(path, JSON.stringify({ v: 1, current: null, servers: {} }), { mode: 0o644 });
  storeSession(path, 'https://a', SESSION);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(statSync(dirname(path)).mode & 0o777).toBe(0o700);
  expect(readdirSync(dirname(path))).toEqual(['servers.json']);
});

test('what is forgotten is no longer meant; the others stay', () => {
  storeSession(path, 'https://a', SESSION);
  storeSession(path, 'https://b', SESSION);
  expect(removeSession(path, 'https://b')).toBe(true);
  expect(removeSession(path, 'https://b')).toBe(false);
  expect(readSessions(path)).toEqual({ v: 1, current: null, servers: { 'https://a': SESSION } });
});

test('without a file nobody is logged in', () => {
  expect(readSessions(path)).toEqual({ v: 1, current: null, servers: {} });
});
