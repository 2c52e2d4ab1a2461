// Every type that the connectors know, with the values at its edges.
import type { TypeCase } from './type-case.ts';
import { numberCases } from './type-cases-numbers.ts';
import { structuredCases } from './type-cases-structured.ts';
import { textCases } from './type-cases-text.ts';
import { timeCases } from './type-cases-time.ts';

export const typeCases: readonly TypeCase[] = [
  ...numberCases,
  ...textCases,
  ...timeCases,
  ...structuredCases,
];

/** The cases that a server of this major has. */
export function casesFor(major: number, names?: readonly string[]): readonly TypeCase[] {
  return typeCases.filter(
    ({ since, name }) => (since ?? 0) <= major && (names === undefined || names.includes(name)),
  );
}
