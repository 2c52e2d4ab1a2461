import { z } from 'zod';

const ColumnName = z.string().min(1);
/** Shorter ones can be found by trying. */
const SecretText = z.string().min(8, 'at least 8 characters are needed');

const Mapping = z
  .strictObject({
    rename: z.record(ColumnName, ColumnName).describe('column: new name').optional(),
    drop: z.array(ColumnName).describe('columns that are left out').optional(),
    cast: z
      .record(ColumnName, z.string())
      .describe(
        'column: integer, bigint, decimal, decimal(p,s), double, boolean, text, date, timestamp, json',
      )
      .optional(),
    set: z
      .record(ColumnName, z.union([z.string(), z.number(), z.boolean(), z.null()]))
      .describe("column: expression; a constant text is written in single quotes, as 'crm'")
      .optional(),
  })
  .describe('applied in the order rename, drop, cast, set');

const Mask = z.discriminatedUnion('method', [
  z.strictObject({
    method: z.literal('hash'),
    salt: SecretText.describe('the key of HMAC-SHA-256'),
    length: z.int().min(8).max(64).default(64).describe('hexadecimal digits'),
  }),
  z.strictObject({
    method: z.literal('redact'),
    value: z.union([z.string(), z.null()]).default('[redacted]').describe('what stands instead'),
  }),
  z.strictObject({
    method: z.literal('truncate'),
    length: z.int().min(0).describe('characters that are kept'),
  }),
  z.strictObject({
    method: z.literal('tokenise'),
    secret: SecretText,
    prefix: z.string().max(64).default(''),
    length: z.int().min(10).max(51).default(26).describe('letters and digits after the prefix'),
  }),
  z.strictObject({
    method: z.literal('format_preserving'),
    secret: SecretText,
    letters: z.boolean().default(false).describe('letters are replaced too'),
    tweak: z.string().max(256).default('').describe('another text gives another mapping'),
    short: z
      .enum(['fail', 'redact'])
      .default('fail')
      .describe('values of less than 6 digits (5 letters): fail, or zeros (x) instead'),
  }),
]);
export type MaskSpecification = z.infer<typeof Mask>;

const parts = {
  filter: z.string().describe('documents for which this expression is true are kept').optional(),
  mapping: Mapping.optional(),
  mask: z.record(ColumnName, Mask).describe('column: method and its options').optional(),
  module: z.string().min(1).describe('path of a JavaScript or TypeScript module').optional(),
};

const StepSpecification = z
  .strictObject(parts)
  .refine((step) => Object.keys(step).length > 0, 'an empty step does nothing');
export type StepSpecification = z.infer<typeof StepSpecification>;

export const CustomSpecification = z
  .strictObject({
    ...parts,
    steps: z.array(StepSpecification).min(1).describe('for another order').optional(),
  })
  .refine(
    (specification) => specification.steps === undefined || Object.keys(specification).length === 1,
    'either steps, or filter, mapping, mask and module without it',
  )
  .refine(
    (specification) => Object.keys(specification).length > 0,
    'one of filter, mapping, mask, module or steps is needed',
  );
export type CustomSpecification = z.infer<typeof CustomSpecification>;
