/** The server's own file: every key with its default. */
import { z } from 'zod';
import { duration, identifier, patterned, text, whole } from './configuration/fields.ts';

const etlSchema = z.strictObject({
  temporal: z
    .strictObject({
      /** Absent: the embedded engine. */
      address: text.optional(),
      namespace: text.default('platform-etl'),
      task_queue: text.default('etl-workers'),
      /** Present: TLS, with the certificate checked. Texts are PEM. */
      tls: z
        .strictObject({
          /** Left out: the authorities that the machine trusts. */
          ca: text.optional(),
          certificate: text.optional(),
          key: text.optional(),
          /** Under which name the server's certificate is, where that is not the address. */
          server_name: text.optional(),
        })
        .optional(),
      /** Goes over TLS only. */
      api_key: text.optional(),
    })
    .prefault({}),
  workers: z
    .strictObject({
      max_concurrent_activities: whole(1, 1000).default(10),
      activity_timeout: duration().prefault('30m'),
    })
    .prefault({}),
  /** For failures that time may mend and the table of retries does not name. */
  retry: z
    .strictObject({
      max_attempts: whole(1).default(5),
      initial_interval: duration().prefault('1s'),
      max_interval: duration().prefault('1m'),
      backoff_coefficient: z.number().min(1).default(2),
    })
    .prefault({}),
});

const NO_URL = 'is no address that can be read\nLook at its host and port.';

const httpUrl = patterned(
  /^https?:\/\/[^\s/]+/i,
  'must be an address that begins with https:// or http://',
  'Write the whole address, such as https://events.example.com/forebay.',
).refine((url) => URL.canParse(url), NO_URL);

const SECRET_BYTES = { min: 24, max: 64 };

/** As Standard Webhooks writes it; null where it is none. */
export function signingKey(secret: string): Buffer | null {
  const [, base64] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret) ?? [];
  if (base64 === undefined) return null;
  const key = Buffer.from(base64, 'base64');
  return key.length >= SECRET_BYTES.min && key.length <= SECRET_BYTES.max ? key : null;
}

const signingSecret = z
  .string()
  .refine(
    (secret) => signingKey(secret) !== null,
    'must be whsec_ followed by 24 to 64 bytes in base64\nMake one: echo "whsec_$(openssl rand -base64 32)"',
  );

const id = identifier().optional();

const webhookSchema = z.strictObject({
  type: z.literal('webhook'),
  id,
  url: httpUrl,
  secret: signingSecret,
  /** Also sign, while receivers change over. */
  previous_secrets: z.array(signingSecret).default([]),
});

const openLineageSchema = z.strictObject({
  type: z.literal('openlineage'),
  id,
  url: httpUrl,
  /** Sent as bearer token. */
  token: text.optional(),
  /** Of the jobs. */
  namespace: text.default('forebay'),
});

const natsSchema = z.strictObject({
  type: z.literal('nats'),
  id,
  url: patterned(
    /^(?:nats|tls):\/\/[^\s/@]+$/i,
    'must be an address that begins with nats:// or tls://, without user and password',
    'Write the address, such as tls://nats.example.com:4222; user, password and token are fields of their own.',
  ).refine((url) => URL.canParse(url), NO_URL),
  subject: patterned(
    /^[^\s.*>]+(?:\.[^\s.*>]+)*$/,
    'must be a subject without wildcards',
    'Write words with dots between them, such as etl.events.',
  ).default('etl.events'),
  user: text.optional(),
  password: text.optional(),
  token: text.optional(),
});

const kafkaSchema = z.strictObject({
  type: z.literal('kafka'),
  id,
  brokers: z
    .array(
      patterned(
        /^(?:\[[0-9a-fA-F:.]+\]|[^\s:/@[\]]+):\d{1,5}$/,
        'must be host:port',
        'Write the address of a broker, such as kafka.example.com:9092.',
      ),
    )
    .min(1),
  topic: patterned(
    /^[A-Za-z0-9._-]{1,249}$/,
    'must be the name of a topic: letters, digits, dots, hyphens or underscores',
    'Write a name such as etl.events.',
  ).default('etl.events'),
  tls: z.boolean().default(false),
  sasl: z
    .strictObject({
      mechanism: z.enum(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512']),
      username: text,
      password: text,
    })
    .optional(),
});

export const serverSchema = z.strictObject({
  etl: etlSchema.prefault({}),
  /** Left out: open where only this machine can connect to the API, private otherwise. */
  egress: z.enum(['open', 'private', 'public']).optional(),
  /** Left out: everywhere or the folder `files` of the data folder, by the same rule. */
  file_roots: z
    .array(patterned(/^\//, 'must be an absolute path', 'Write a folder such as /srv/warehouses.'))
    .optional(),
  events: z
    .array(
      z.discriminatedUnion('type', [webhookSchema, openLineageSchema, natsSchema, kafkaSchema]),
    )
    .default([]),
});

export type ServerFile = z.output<typeof serverSchema>;
