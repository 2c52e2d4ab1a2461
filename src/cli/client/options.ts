/** Options of the commands that ask a server. */
import { z } from 'zod';
import { listShape } from '../options.ts';
import { serverShape } from './connect.ts';

const day = z.iso.date('must be a day such as 2026-03-31');

export function count(min: number, max: number) {
  const range = `must be a whole number between ${min} and ${max}`;
  return z
    .string()
    .regex(/^\d{1,9}$/, range)
    .transform(Number)
    .refine((value) => value >= min && value <= max, range);
}

function safeInteger(pattern: RegExp, what: string) {
  return z.string().regex(pattern, what).transform(Number).refine(Number.isSafeInteger, what);
}

export const wholeNumber = safeInteger(/^[1-9]\d*$/, 'must be a whole number of 1 or more');
/** An integer of the source. */
export const key = safeInteger(/^-?\d+$/, 'must be an integer');

export const clientShape = { ...serverShape, ...listShape };
export const confirmedShape = { ...clientShape, yes: z.boolean().default(false) };
export const leaveShape = { leave: z.boolean().default(false) };
export const waitShape = { wait: z.boolean().default(false) };
export const daysShape = { from: day.optional(), to: day.optional() };
