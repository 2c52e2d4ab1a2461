import { ForebayError } from '../core/errors.ts';
import type { Terminal } from './terminal.ts';

/** Resolves when the user agrees; fails with `confirmation_missing` where nobody can be asked. */
export async function confirm(
  question: string,
  yes: boolean,
  terminal: Terminal,
): Promise<boolean> {
  if (yes) return true;
  if (!terminal.canAsk) {
    throw new ForebayError('confirmation_missing', {
      message: 'Nothing was done: the command was not confirmed',
    });
  }
  const prompts = await import('@clack/prompts');
  const answer = await prompts.confirm({
    message: question,
    initialValue: false,
    output: process.stderr,
  });
  return answer === true;
}
