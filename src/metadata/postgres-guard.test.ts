import { expect, it } from 'vitest';
import { openMetadata } from './database.ts';
import { postgresFailure } from './postgres-guard.ts';
import { Secret } from '../core/secret.ts';

const failure = (fields: object): Error => Object.assign(new Error('text'), fields);

it('what concerns the server or the way to it may be tried again', () => {
  const failures = [
    failure({ code: 'ECONNREFUSED' }),
    failure({}),
    ...['57P01', '40P01', '40001', '53300', '08006'].map((code) =>
      failure({ code, severity: 'ERROR' }),
    ),
  ];
  for (const error of failures)
    expect(postgresFailure(error)).toMatchObject({
      code: 'metadata_unreachable',
      class: 'transient',
    });
});

it('what concerns the statement is left as it is', () => {
  for (const error of [failure({ code: '23505', severity: 'ERROR' }), new TypeError('bug'), 'text'])
    expect(postgresFailure(error)).toBe(error);
});

it('a server that is not there is told as that, without the password', async () => {
  const url = new Secret('postgres://user:kanarienvogel@127.0.0.1:1/none');
  const opening = openMetadata({ kind: 'postgres', url });
  const error: unknown = await opening.catch((failed: unknown) => failed);
  expect(error).toMatchObject({ code: 'metadata_unreachable' });
  expect(JSON.stringify(error)).not.toContain('kanarienvogel');
});
