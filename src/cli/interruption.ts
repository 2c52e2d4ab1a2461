import { ForebayError } from '../core/errors.ts';
import { watchSignals } from './signals.ts';

/** For commands that look: the first signal ends what is under way, exit 130. */
export async function withInterruption<T>(act: (signal: AbortSignal) => Promise<T>): Promise<T> {
  using interruption = watchSignals(() => {}, '');
  const { signal } = interruption;
  try {
    return await act(signal);
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new ForebayError('interrupted', { message: 'The command was interrupted', cause: error });
  }
}
