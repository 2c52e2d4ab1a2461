/** Backfills as they are asked for, and what they would read. */
import { z } from 'zod';
import { identifierText, uuid } from './fields.ts';
import { dateRange } from './pipelines.ts';

const keyRange = z
  .strictObject({
    column: identifierText.meta({ description: 'An integer column of every stream.' }),
    start: z.int(),
    end: z.int(),
  })
  .refine(({ start, end }) => start <= end, { path: ['end'], message: 'is before start' })
  .meta({ description: 'Keys, both inclusive.' });

/** Lengths belong to what they cut. */
const BELONGS = { range_days: 'date_range', range_size: 'key_range' } as const;

export const backfillInput = z
  .strictObject({
    date_range: dateRange.optional(),
    range_days: z.int().min(1).max(3660).optional().meta({
      description:
        'Days that one range covers; left out, 1, or as many as keep the number of ranges at 5000.',
    }),
    key_range: keyRange.optional(),
    range_size: z.int().min(1).optional().meta({
      description:
        'Keys that one range covers; left out, 50000, or as many as keep the number of ranges at 5000.',
    }),
    retry_of: uuid.optional().meta({
      description: 'A backfill that ended: only what failed in it or was not begun is read.',
    }),
    parallel: z.int().min(1).max(64).optional().meta({
      description: 'Ranges that are read at once; left out, 1, or as before.',
    }),
    max_rows: z.int().min(1).optional().meta({
      description: 'No further range is begun once so many rows were read.',
    }),
    preview: z
      .boolean()
      .default(false)
      .meta({ description: 'Answers what would be read, and starts nothing.' }),
  })
  .superRefine((body, context) => {
    const { date_range, key_range, retry_of } = body;
    const given = [date_range, key_range, retry_of].filter((one) => one !== undefined);
    if (given.length !== 1) {
      const message = 'exactly one of date_range, key_range and retry_of is to be given';
      context.addIssue({ code: 'custom', path: [], message });
    }
    for (const [length, of] of Object.entries(BELONGS) as [
      keyof typeof BELONGS,
      keyof typeof body,
    ][])
      if (body[length] !== undefined && body[of] === undefined)
        context.addIssue({ code: 'custom', path: [length], message: `belongs to ${of}` });
  })
  .meta({ id: 'BackfillInput' });
export type BackfillInput = z.output<typeof backfillInput>;

const bound = z.union([z.string(), z.int()]);

export const backfillPreviewSchema = z
  .object({
    preview: z.literal(true),
    total_ranges: z.int(),
    ranges: z.array(z.object({ start: bound, end: bound })),
    streams: z.array(
      z.object({
        stream: z.string(),
        column: z.string().meta({ description: 'By which its rows are read.' }),
        rows: z
          .int()
          .nullable()
          .meta({ description: 'In all ranges; null where the source cannot count them.' }),
      }),
    ),
  })
  .meta({ id: 'BackfillPreview' });
export type BackfillPreview = z.output<typeof backfillPreviewSchema>;
