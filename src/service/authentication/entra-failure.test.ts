import { describe, expect, test } from 'vitest';

import { entraFailure } from './entra-failure.ts';

const host = 'login.example';
const own = new Error('the library says\nmore lines');

function answered(status: number, body: unknown, secret: string | null = null) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return entraFailure({ kind: 'answered', host, status, body: text }, own, secret);
}

describe('a request for a token that failed', () => {
  test.each([
    [400, 'token_not_issued', 'auth'],
    [401, 'token_not_issued', 'auth'],
    [404, 'token_not_issued', 'auth'],
    [408, 'token_unavailable', 'transient'],
    [410, 'token_unavailable', 'transient'],
    [429, 'token_unavailable', 'transient'],
    [500, 'token_unavailable', 'transient'],
    [503, 'token_unavailable', 'transient'],
  ])('HTTP %d is %s', (status, code, errorClass) => {
    expect(answered(status, '')).toMatchObject({
      code,
      class: errorClass,
      why: `HTTP ${status}`,
      systemCode: String(status),
    });
  });

  test('tells the reason of Entra without the ids of its support', () => {
    const error_description =
      'AADSTS700016: Application was not found. Trace ID: 1 Correlation ID: 2 Timestamp: 3';
    expect(answered(400, { error: 'unauthorized_client', error_description }).why).toBe(
      'unauthorized_client: AADSTS700016: Application was not found.',
    );
  });

  test('never repeats the secret', () => {
    const body = { error: 'invalid_client', error_description: 'no hunter2 here' };
    expect(answered(401, body, 'hunter2').why).toBe('invalid_client: no [secret] here');
    const error = entraFailure({ kind: 'none' }, new Error('hunter2 is odd'), 'hunter2');
    expect(error.why).toBe('[secret] is odd');
  });

  test('a page instead of an answer is told by its status', () => {
    expect(answered(502, '<html>'.repeat(1000)).why).toBe('HTTP 502');
    expect(answered(200, '<html>')).toMatchObject({
      code: 'token_not_issued',
      why: 'the library says',
    });
  });

  test('no answer is worth another try', () => {
    const answer = { kind: 'unreachable', host, why: 'ECONNREFUSED' } as const;
    expect(entraFailure(answer, own, null)).toMatchObject({
      code: 'token_unavailable',
      class: 'transient',
      why: 'ECONNREFUSED',
    });
  });
});
