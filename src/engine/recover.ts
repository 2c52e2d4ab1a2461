import type { Attempt } from './attempt.ts';
import type { AttemptEnd } from './run.ts';
export async function runRecover(_attempt: Attempt): Promise<AttemptEnd> {
  await Promise.resolve();
  return { kind: 'completed' };
}
