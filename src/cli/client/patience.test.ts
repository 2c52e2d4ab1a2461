import { expect, test } from 'vitest';

import { ForebayError } from '../../core/errors.ts';
import { Patience } from './patience.ts';

const away = new ForebayError('unreachable', { message: 'away' });

function patient(patienceMs: number): { readonly said: string[]; readonly patience: Patience } {
  const said: string[] = [];
  const { signal } = new AbortController();
  const say = (text: string): void => void said.push(text);
  return { said, patience: new Patience({ signal, say, patienceMs, firstWaitMs: 1 }) };
}

test('a failure that passes is borne, and told once', async () => {
  const { said, patience } = patient(60_000);
  let count = 0;
  const result = await patience.until(() => {
    count += 1;
    return count < 4 ? Promise.reject(away) : Promise.resolve('here');
  });
  expect(result).toBe('here');
  expect(said).toEqual(['away; trying again']);
});

test('one that goes on too long is thrown', async () => {
  const { patience } = patient(5);
  await expect(patience.until(() => Promise.reject(away))).rejects.toBe(away);
});

test('one that will not pass is thrown at once', async () => {
  const { said, patience } = patient(60_000);
  const refused = new ForebayError('forbidden', { message: 'no' });
  await expect(patience.until(() => Promise.reject(refused))).rejects.toBe(refused);
  expect(said).toEqual([]);
});
