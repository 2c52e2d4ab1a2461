import { z } from 'zod';
import { identifierText, nextCursor, pageQuery, time, uuid } from './fields.ts';

export const deadLettersQuery = z.strictObject({
  ...pageQuery,
  pipeline_id: uuid.optional(),
  resolved: z.enum(['true', 'false']).optional(),
});

const letter = {
  id: uuid,
  pipeline_id: uuid,
  execution_id: uuid
    .nullable()
    .meta({ description: 'That wrote it; null where that is not known.' }),
  stream: z.string(),
  letter_id: z.string().meta({ description: 'Under which the destination keeps the row.' }),
  code: z.string(),
  reason: z.string().meta({ description: 'What refused the row, without values of it.' }),
  created_at: time.meta({ description: 'When the row was refused.' }),
  resolved_at: time.nullable().meta({
    description:
      'When it was seen that the letter was replayed, dropped or outdated by a later change.',
  }),
} as const;

export const deadLetterSchema = z.object(letter).meta({ id: 'DeadLetter' });
export const deadLetterListSchema = z.object({
  dead_letters: z.array(deadLetterSchema),
  next_cursor: nextCursor,
});

export const PAYLOAD_STATES = ['shown', 'withheld', 'removed', 'unavailable'] as const;

export const deadLetterDetailSchema = z
  .object({
    ...letter,
    op: z.string().nullable().meta({ description: 'r (snapshot), i, u or d.' }),
    position: z.string().nullable().meta({ description: 'In the log of the source.' }),
    payload: z
      .record(z.string(), z.string().nullable())
      .nullable()
      .meta({ description: 'The row, values as text.' }),
    payload_state: z.enum(PAYLOAD_STATES).meta({
      description:
        'withheld: the role may not see rows; removed: the destination has it no longer; unavailable: it could not be read.',
    }),
    payload_error: z.string().nullable().meta({ description: 'Code of why it could not be read.' }),
  })
  .meta({ id: 'DeadLetterDetail' });
export type DeadLetterDetail = z.output<typeof deadLetterDetailSchema>;

export const MOST_LETTERS = 500;

export const letterChoice = z
  .strictObject({
    pipeline_id: uuid,
    stream: identifierText.optional(),
    ids: z
      .array(uuid)
      .min(1)
      .max(MOST_LETTERS)
      .optional()
      .meta({ description: 'Of letters of the pipeline; without, all of it.' }),
  })
  .meta({ id: 'DeadLetterChoice' });

export const LETTER_OUTCOMES = ['replayed', 'failed', 'superseded'] as const;
export type LetterOutcome = (typeof LETTER_OUTCOMES)[number];

const count = z.int().min(0);
const remaining = count.meta({ description: 'Open letters of the pipeline (and stream).' });

export const replayedSchema = z
  .object({
    replayed: count,
    failed: count.meta({ description: 'Refused again; they stay open.' }),
    superseded: count.meta({
      description: 'Not written: a later change of the row was, or they were resolved before.',
    }),
    remaining,
    letters: z
      .array(z.object({ id: uuid, outcome: z.enum(LETTER_OUTCOMES) }))
      .nullable()
      .meta({ description: 'One by one where ids were given.' }),
  })
  .meta({ id: 'ReplayedDeadLetters' });
export type ReplayedLetters = z.output<typeof replayedSchema>;

export const droppedSchema = z
  .object({ dropped: count, remaining })
  .meta({ id: 'DroppedDeadLetters' });
export type DroppedLetters = z.output<typeof droppedSchema>;
