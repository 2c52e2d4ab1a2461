/** Parts that requests and answers share. */
import { z } from 'zod';

export const uuid = z.uuid().toLowerCase();

/** An id in an address: one that is no id is the id of nothing, and answered like it. */
export const idParams = z.strictObject({
  id: z.string().max(100).meta({ description: 'Id of it.', format: 'uuid' }),
});
export type IdParams = z.output<typeof idParams>;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** In the form in which ids are stored; null where it cannot be an id. */
export function storedId(id: string): string | null {
  return UUID.test(id) ? id.toLowerCase() : null;
}

export const time = z.iso.datetime().meta({ description: 'RFC 3339, UTC.' });

/** A name that people give; shown as it is. */
export const name = z
  .string()
  .trim()
  .min(1)
  .max(200)
  .refine((text) => !/\p{Cc}/u.test(text), 'holds a control character')
  .meta({ examples: ['shop'] });

export const identifierText = z.string().min(1).max(1000);

export const pageQuery = {
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(200)
    .default(50)
    .meta({ description: 'Most entries to answer.' }),
  cursor: z
    .string()
    .min(1)
    .max(1000)
    .optional()
    .meta({ description: '`next_cursor` of the page before.' }),
} as const;

export const nextCursor = z
  .string()
  .nullable()
  .meta({ description: 'For the next page; null after the last.' });

/** Of addresses that take no body: nothing, or an empty object. */
export const noBody = z.strictObject({}).optional();

export const json = z.unknown().meta({ description: 'Any JSON value.' });

/** A day of the calendar in UTC. */
export const day = z.iso.date();

export const version = z.int().min(1).meta({ description: 'One more with each change; the ETag.' });
