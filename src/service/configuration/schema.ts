/** The configuration file: every entity and field, with defaults. What several fields rule together is in `rules-*`. */
import { z } from 'zod';
import { duration, identifier, meta, text, whole } from './fields.ts';
import { authenticationSchema } from './schema-authentication.ts';
import { destinationSchema, sourceSchema } from './schema-systems.ts';
import { transformationSchema } from './schema-transformations.ts';

export const VERSIONS = ['1'] as const;

const port = (description: string, example: number) =>
  whole(1024, 65_535).meta(
    meta({ description, examples: [example], rule: 'another port than the other one' }),
  );

const serviceSchema = z.strictObject({
  log_level: z
    .enum(['trace', 'debug', 'info', 'warn', 'error'])
    .default('info')
    .meta(meta({ description: 'The least that is logged.', examples: ['debug'] })),
  log_format: z
    .enum(['json', 'text'])
    .default('json')
    .meta(meta({ description: 'How log lines look.', examples: ['text'] })),
  metrics_port: port('Port of the metrics.', 9465).default(9464),
  health_port: port('Port of the health checks.', 8081).default(8080),
  graceful_shutdown_timeout: duration()
    .prefault('30s')
    .meta(
      meta({
        description: 'How long a stream may take to end what is in hand.',
        examples: ['1m'],
        unit: 'duration',
      }),
    ),
  max_concurrent_streams: whole(1)
    .default(8)
    .meta(
      meta({ description: 'Streams that run at once, at most.', examples: [20], unit: 'streams' }),
    ),
});

const retryPolicySchema = z.strictObject({
  max_attempts: whole(1)
    .default(5)
    .meta(
      meta({
        description: 'Attempts without progress before the stream fails.',
        examples: [10],
        unit: 'attempts',
      }),
    ),
  initial_delay: duration()
    .prefault('1s')
    .meta(
      meta({
        description: 'Wait before the second attempt.',
        examples: ['500ms'],
        unit: 'duration',
      }),
    ),
  max_delay: duration()
    .prefault('1m')
    .meta(
      meta({
        description: 'The longest wait.',
        examples: ['5m'],
        rule: 'not shorter than `initial_delay`',
        unit: 'duration',
      }),
    ),
  backoff_multiplier: z
    .number()
    .min(1)
    .default(2)
    .meta(
      meta({
        description: 'By how much each wait is longer than the one before.',
        examples: [1.5],
        unit: 'times',
      }),
    ),
  permanent_error_codes: z
    .array(text)
    .default([])
    .meta(
      meta({
        description: "Codes of the source's or the destination's system that are not tried again.",
        examples: [['23505', '22P02']],
        rule: 'codes of one of the two types, see [error codes](#error-codes)',
      }),
    ),
});

const streamSchema = z.strictObject({
  id: identifier().meta(
    meta({
      description: 'Names the stream in logs, metrics and checkpoints; keep it.',
      examples: ['orders-to-warehouse'],
      rule: 'unique in `streams`',
    }),
  ),
  name: text.optional().meta(
    meta({
      description: 'What people call it; left out, the id.',
      examples: ['Orders to warehouse'],
    }),
  ),
  source: sourceSchema,
  destination: destinationSchema,
  transformation_id: identifier()
    .optional()
    .meta(
      meta({
        description: 'Id of the entry of `transformations` that every event goes through.',
        examples: ['orders-for-analysts'],
        rule: 'must be there in `transformations`',
      }),
    ),
  enabled: z
    .boolean()
    .default(true)
    .meta(meta({ description: 'Whether it runs.', examples: [false] })),
  batch_size: whole(1)
    .default(10_000)
    .meta(
      meta({ description: 'Events applied at once, at most.', examples: [5000], unit: 'events' }),
    ),
  retry_policy: retryPolicySchema
    .prefault({})
    .meta({ description: 'What happens when the stream breaks off.' }),
});

export const configurationSchema = z
  .strictObject({
    version: z
      .enum(VERSIONS)
      .meta(meta({ description: 'Version of the file format.', examples: ['1'] })),
    service: serviceSchema.prefault({}).meta({ description: 'The service as a whole.' }),
    streams: z
      .array(streamSchema)
      .min(1)
      .meta({ description: 'What is replicated, each from one source to one destination.' }),
    authentication: z
      .array(authenticationSchema)
      .prefault([])
      .meta({ description: 'Credentials that sources and destinations refer to.' }),
    transformations: z
      .array(transformationSchema)
      .prefault([])
      .meta({ description: 'Transformations that streams refer to.' }),
  })
  .meta({
    title: 'Forebay configuration',
    description: 'Streams of the replication service, `forebay run` and `forebay validate`.',
  });

/** As the file says, with defaults; references still stand in connection strings, credentials and options. */
export type Configuration = z.output<typeof configurationSchema>;
export type StreamConfiguration = Configuration['streams'][number];
export type ServiceConfiguration = Configuration['service'];
