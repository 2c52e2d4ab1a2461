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

export const clientShape = { ...serverShape, ...listShape };
export const confirmedShape = { ...clientShape, yes: z.boolean().default(false) };
export const waitShape = { wait: z.boolean().default(false) };
export const daysShape = { from: day.optional(), to: day.optional() };
export const everyDayShape = { from: day, to: day };
