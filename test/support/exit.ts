import { expect } from 'vitest';

import type { ForebayExit } from './process.ts';

/** Compares the exit code; a wrong one is shown with what the process said and its result. */
export function expectExit(exit: ForebayExit, code: number): void {
  const told = exit.code === code ? null : `${exit.stderr}\n${exit.stdout}`;
  expect({ code: exit.code, told }).toEqual({ code, told: null });
}
