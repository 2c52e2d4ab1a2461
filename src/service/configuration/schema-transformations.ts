/** What happens to events on their way. The compilers of the specifications know their inner rules. */
import { z } from 'zod';
import { duration, identifier, meta, text, whole } from './fields.ts';

const kind = (example: string) =>
  meta({ description: 'Which kind of transformation it is.', examples: [example] });

const id = identifier().meta(
  meta({
    description: 'By what `transformation_id` names it.',
    examples: ['orders-for-analysts'],
    rule: 'unique in `transformations`',
  }),
);

const name = text.optional().meta(
  meta({
    description: 'What people call it; left out, the id.',
    examples: ['Orders without personal data'],
  }),
);

const errorHandling = z
  .strictObject({
    on_error: z
      .enum(['skip', 'retry', 'fail_stream', 'dead_letter'])
      .default('fail_stream')
      .meta(
        meta({
          description:
            'What happens to an event that the transformation refuses: it is left out, tried again, stops the stream, or goes to the dead letters.',
          examples: ['dead_letter'],
        }),
      ),
    dead_letter_destination: text.optional().meta(
      meta({
        description:
          'Where refused events go: `table:schema.name` in the destination, `file:` with a pattern of date codes, or a system by its URL. After `retry` they go there too, if it is given.',
        examples: ['table:_forebay.dead_letters', 'file:dead/%Y-%m-%d.jsonl'],
        rule: 'required if `on_error` is `dead_letter`',
      }),
    ),
    max_retries: whole(0)
      .default(3)
      .meta(
        meta({
          description: 'How often a refused event is tried again, with `on_error: retry`.',
          examples: [5],
          unit: 'retries',
        }),
      ),
    retry_delay: duration()
      .prefault('1s')
      .meta(
        meta({ description: 'How long to wait before.', examples: ['500ms'], unit: 'duration' }),
      ),
  })
  .prefault({})
  .meta({ description: 'What happens when an event cannot be transformed.' });

const kazaam = z
  .strictObject({
    id,
    name,
    type: z.literal('kazaam').meta(kind('kazaam')),
    specification: z
      .strictObject({
        spec: z.array(z.looseObject({})).meta(
          meta({
            description: 'The list of Kazaam operations, in their order.',
            examples: [
              [
                {
                  operation: 'shift',
                  spec: { customer: 'order.customer_id', total: 'order.total' },
                },
              ],
            ],
            rule: 'what Kazaam itself loads',
          }),
        ),
        mode: z
          .enum(['compat', 'strict'])
          .default('compat')
          .meta(
            meta({
              description: 'As upstream does it, or with its silent cases told as errors.',
              examples: ['strict'],
            }),
          ),
        dialect: z
          .enum(['kazaam', 'extended'])
          .default('kazaam')
          .meta(
            meta({
              description:
                'The operations of upstream, or also steps, merge, converters and conditionals.',
              examples: ['extended'],
            }),
          ),
      })
      .meta({ description: 'What to do.' }),
    error_handling: errorHandling,
  })
  .meta({ title: 'kazaam', description: 'A Kazaam specification.' });

const step = {
  filter: text.optional().meta(
    meta({
      description: 'Expression; rows for which it is not true are left out.',
      examples: ["status != 'draft'"],
    }),
  ),
  mapping: z
    .strictObject({
      rename: z
        .record(z.string(), text)
        .optional()
        .meta(
          meta({ description: 'New names of columns.', examples: [{ cust_id: 'customer_id' }] }),
        ),
      drop: z
        .array(text)
        .optional()
        .meta(meta({ description: 'Columns to leave out.', examples: [['internal_note']] })),
      cast: z
        .record(z.string(), text)
        .optional()
        .meta(meta({ description: 'New types of columns.', examples: [{ total: 'decimal' }] })),
      set: z
        .record(z.string(), z.unknown())
        .optional()
        .meta(
          meta({
            description: 'Columns with a constant or an expression.',
            examples: [{ origin: 'shop' }],
          }),
        ),
    })
    .optional()
    .meta({ description: 'Columns renamed, left out, cast or set.' }),
  mask: z
    .record(
      z.string(),
      z.looseObject({
        method: z.enum(['hash', 'redact', 'truncate', 'tokenise', 'format_preserving']),
      }),
    )
    .optional()
    .meta(
      meta({
        description:
          'Columns whose values are hidden, each with `method` hash, redact, truncate, tokenise or format_preserving and its options.',
        examples: [{ email: { method: 'hash', salt: '${env:MASK_SALT}' } }],
      }),
    ),
  module: text.optional().meta(
    meta({
      description: 'JavaScript or TypeScript module whose default export transforms a row.',
      examples: ['modules/add-region.ts'],
      rule: 'a readable file; relative to this file',
    }),
  ),
};

const custom = z
  .strictObject({
    id,
    name,
    type: z.literal('custom').meta(kind('custom')),
    specification: z
      .strictObject({
        ...step,
        steps: z.array(z.strictObject(step)).min(1).optional().meta({
          description: 'The same parts again and again, for another order.',
          rule: 'not together with the others',
        }),
      })
      .meta({ description: '`filter`, `mapping`, `mask` and `module`, applied in that order.' }),
    error_handling: errorHandling,
  })
  .meta({ title: 'custom', description: 'Filter, mapping, masks or a module.' });

export const TRANSFORMATION_TYPES = ['kazaam', 'custom'] as const;
export type TransformationType = (typeof TRANSFORMATION_TYPES)[number];

export const transformationSchema = z.discriminatedUnion('type', [kazaam, custom]);
export type Transformation = z.output<typeof transformationSchema>;
