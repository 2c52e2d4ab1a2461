/** What server and worker take from options and environment. */
import { z } from 'zod';
import type { TemporalPlace } from '../api/control/engine.ts';
import { ForebayError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';

const port = z.coerce.number().int().min(0).max(65_535);

export const serverShape = {
  dataDir: z.string().min(1).optional(),
  host: z.string().min(1).optional(),
  port: port.optional(),
  json: z.boolean().default(false),
};

const environmentShape = z.object({
  FOREBAY_DATA_DIR: z.string().min(1).default('.forebay'),
  FOREBAY_HOST: z.string().min(1).default('127.0.0.1'),
  FOREBAY_PORT: port.default(8004),
  FOREBAY_DATABASE_URL: z.string().min(1).optional(),
  FOREBAY_TEMPORAL_ADDRESS: z.string().min(1).optional(),
  FOREBAY_TEMPORAL_NAMESPACE: z.string().min(1).default('platform-etl'),
  FOREBAY_TEMPORAL_TASK_QUEUE: z.string().min(1).default('etl-workers'),
});

export interface ServerEnvironment {
  readonly dataDir: string;
  readonly host: string;
  readonly port: number;
  readonly databaseUrl: Secret | null;
  readonly temporal: TemporalPlace | null;
}

/** Fails with `usage`. */
export function readServerEnvironment(): ServerEnvironment {
  const given = Object.fromEntries(
    Object.entries(process.env).filter(
      ([name, value]) => name.startsWith('FOREBAY_') && value !== '',
    ),
  );
  const parsed = environmentShape.safeParse(given);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new ForebayError('usage', {
      message: `the environment variable ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not valid'}`,
    });
  }
  const { data } = parsed;
  const address = data.FOREBAY_TEMPORAL_ADDRESS;
  return {
    dataDir: data.FOREBAY_DATA_DIR,
    host: data.FOREBAY_HOST,
    port: data.FOREBAY_PORT,
    databaseUrl:
      data.FOREBAY_DATABASE_URL === undefined ? null : new Secret(data.FOREBAY_DATABASE_URL),
    temporal:
      address === undefined
        ? null
        : {
            address,
            namespace: data.FOREBAY_TEMPORAL_NAMESPACE,
            taskQueue: data.FOREBAY_TEMPORAL_TASK_QUEUE,
          },
  };
}
