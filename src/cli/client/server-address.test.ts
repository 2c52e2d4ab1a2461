import { describe, expect, test } from 'vitest';

import { chooseTarget, isOpenToOthers, readServerUrl } from './server-address.ts';
import type { SessionFile } from './session-file.ts';

const KEPT: SessionFile = {
  v: 1,
  current: 'https://kept.example',
  servers: { 'https://kept.example': { token: 'kept', email: null, expires_at: null } },
};

function chosen(
  option: string | undefined,
  environment: Record<string, string>,
  sessions: SessionFile = KEPT,
): readonly (string | undefined)[] {
  const { server, token } = chooseTarget({ option, environment, sessions: () => sessions });
  return [server, token?.reveal()];
}

describe('which server, and as whom', () => {
  test('the last login', () => {
    expect(chosen(undefined, {})).toEqual(['https://kept.example', 'kept']);
  });
  test('where nobody logged in, one on this machine', () => {
    const nobody: SessionFile = { v: 1, current: null, servers: {} };
    expect(chosen(undefined, {}, nobody)).toEqual(['http://127.0.0.1:8004', undefined]);
  });
  test('the option before the variable, and no token of another server', () => {
    const environment = { FOREBAY_SERVER: 'http://b' };
    expect(chosen('http://a', environment)).toEqual(['http://a', undefined]);
    expect(chosen(undefined, environment)).toEqual(['http://b', undefined]);
  });
  test('a token of the environment goes where it is asked to', () => {
    expect(chosen('http://a', { FOREBAY_TOKEN: 't' })).toEqual(['http://a', 't']);
    expect(chosen(undefined, { FOREBAY_TOKEN: 't' })).toEqual(['https://kept.example', 't']);
  });
  test('both given, what was kept is not even looked at', () => {
    const environment = { FOREBAY_TOKEN: 't' };
    const sessions = (): never => {
      throw new Error('looked at');
    };
    expect(chooseTarget({ option: 'http://a', environment, sessions }).server).toBe('http://a');
  });
});

test.each([
  ['https://a.example/', 'https://a.example'],
  ['http://a:8004//', 'http://a:8004'],
  ['https://A.example/base/', 'https://a.example/base'],
  ['https://a:443', 'https://a'],
])('%s is kept as %s', (text, expected) => {
  expect(readServerUrl(text)).toBe(expected);
});

test.each([
  ['http://localhost:1', false],
  ['http://127.9.9.9', false],
  ['http://[::1]:8004', false],
  ['https://far.example', false],
  ['http://far.example', true],
  ['http://localhost.far.example', true],
])('%s can be read on the way: %s', (server, expected) => {
  expect(isOpenToOthers(server)).toBe(expected);
});
