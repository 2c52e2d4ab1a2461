/** The control plane: API, flows and schedules in one process. */
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { startControlPlane } from '../../api/control/control-plane.ts';
import { ForebayError } from '../../core/errors.ts';
import { Secret } from '../../core/secret.ts';
import { ServiceLog } from '../../service/log.ts';
import { readServerConfig } from '../../service/server-config.ts';
import type { RunCommand } from '../call.ts';
import { readOptions } from '../options.ts';
import { scrubSecrets } from '../scrub.ts';
import { watchSignals } from '../signals.ts';

const STOPPING = 'Stopping: what is in hand is finished first. Once more to stop now.';

const port = z.coerce.number().int().min(0).max(65_535);

const shape = {
  dataDir: z.string().min(1).optional(),
  host: z.string().min(1).optional(),
  port: port.optional(),
  config: z.string().min(1).optional(),
  json: z.boolean().default(false),
};

const environmentShape = z.object({
  FOREBAY_DATA_DIR: z.string().min(1).default('.forebay'),
  FOREBAY_HOST: z.string().min(1).default('127.0.0.1'),
  FOREBAY_PORT: port.default(8004),
  FOREBAY_CONFIG: z.string().min(1).optional(),
  FOREBAY_DATABASE_URL: z.string().min(1).optional(),
});

function readEnvironment(): z.output<typeof environmentShape> {
  const given = Object.fromEntries(
    Object.entries(process.env).filter(
      ([name, value]) => name.startsWith('FOREBAY_') && value !== '',
    ),
  );
  const parsed = environmentShape.safeParse(given);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new ForebayError('usage', {
    message: `the environment variable ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not valid'}`,
  });
}

export const run: RunCommand = async ({ options, terminal }) => {
  const given = readOptions(shape, options);
  const environment = readEnvironment();
  const { FOREBAY_DATABASE_URL: databaseUrl } = environment;
  const log = new ServiceLog({ level: 'info', format: given.json ? 'json' : 'text' }, (line) =>
    terminal.err(scrubSecrets(line)),
  );
  const dataDir = given.dataDir ?? environment.FOREBAY_DATA_DIR;
  const named = given.config ?? environment.FOREBAY_CONFIG ?? null;
  const path = named ?? join(dirname(resolve(dataDir)), 'forebay.yaml');
  const file = readServerConfig({ path, isNamed: named !== null }, process.env);
  if (file.kind === 'refused') {
    for (const problem of file.problems) terminal.err(scrubSecrets(`${problem}\n`));
    return 2;
  }
  if (file.passedOver) log.root.at('info', 'configuration_passed_over', { path });
  using interruption = watchSignals((text) => terminal.err(`${text}\n`), STOPPING);
  await using server = await startControlPlane({
    dataDir,
    host: given.host ?? environment.FOREBAY_HOST,
    port: given.port ?? environment.FOREBAY_PORT,
    databaseUrl: databaseUrl === undefined ? null : new Secret(databaseUrl),
    environment: process.env,
    config: file.config,
    log: log.root,
  });
  terminal.out(`Listening on ${server.url}\n`);
  if (server.setupToken !== null)
    terminal.out(`Setup token (valid for an hour, for POST /api/v1/setup): ${server.setupToken}\n`);
  await new Promise<void>((resolve) => {
    const { signal } = interruption;
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
  return 0;
};
