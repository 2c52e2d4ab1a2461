import { expect, it } from 'vitest';
import { asForebayError, ForebayError } from './errors.ts';

it('a failure is told, and not that what it held could not be given back', async () => {
  const held = {
    [Symbol.asyncDispose]: () => Promise.reject(new Error('nor could it be given back')),
  };
  const act = async (): Promise<void> => {
    await using _outer = held;
    await using _inner = held;
    throw new ForebayError('disk_full', { message: 'no room' });
  };
  const error: unknown = await act().catch((failure: unknown) => failure);
  expect(error).not.toBeInstanceOf(ForebayError);
  expect(asForebayError(error)).toMatchObject({ code: 'disk_full', message: 'no room' });
});
