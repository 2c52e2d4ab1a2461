/** What server and worker take from options and environment. */
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { ForebayError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import type { Log } from '../service/log.ts';
import { readServerConfig, type ServerConfig } from '../service/server-config.ts';
import { scrubSecrets } from './scrub.ts';
import type { Terminal } from './terminal.ts';

const port = z.coerce.number().int().min(0).max(65_535);

export const serverShape = {
  dataDir: z.string().min(1).optional(),
  host: z.string().min(1).optional(),
  port: port.optional(),
  grpcPort: port.optional(),
  config: z.string().min(1).optional(),
  json: z.boolean().default(false),
};

const environmentShape = z.object({
  FOREBAY_DATA_DIR: z.string().min(1).default('.forebay'),
  FOREBAY_HOST: z.string().min(1).default('127.0.0.1'),
  FOREBAY_PORT: port.default(8004),
  FOREBAY_GRPC_PORT: port.default(9004),
  FOREBAY_DATABASE_URL: z.string().min(1).optional(),
  FOREBAY_CONFIG: z.string().min(1).optional(),
});

export interface ServerEnvironment {
  readonly dataDir: string;
  readonly host: string;
  readonly port: number;
  readonly grpcPort: number;
  readonly databaseUrl: Secret | null;
  /** The file that was named; null where it is looked for beside the data folder. */
  readonly configFile: string | null;
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
  return {
    dataDir: data.FOREBAY_DATA_DIR,
    host: data.FOREBAY_HOST,
    port: data.FOREBAY_PORT,
    grpcPort: data.FOREBAY_GRPC_PORT,
    databaseUrl:
      data.FOREBAY_DATABASE_URL === undefined ? null : new Secret(data.FOREBAY_DATABASE_URL),
    configFile: data.FOREBAY_CONFIG ?? null,
  };
}

/** Null after every mistake was told; the command then ends with 2. */
export function readServerFile(
  place: { readonly dataDir: string; readonly configFile: string | null },
  terminal: Terminal,
  log: Log,
): ServerConfig | null {
  const { dataDir, configFile } = place;
  const path = configFile ?? join(dirname(resolve(dataDir)), 'forebay.yaml');
  const file = readServerConfig({ path, isNamed: configFile !== null }, process.env);
  if (file.kind === 'refused') {
    for (const problem of file.problems) terminal.err(scrubSecrets(`${problem}\n`));
    return null;
  }
  if (file.passedOver) log.at('info', 'configuration_passed_over', { path });
  return file.config;
}
