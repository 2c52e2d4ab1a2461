import type { Connector, ConnectorContext, SystemAddress } from '../../core/connector.ts';
import { ForebayError } from '../../core/errors.ts';
import { parsePostgresUrl, type PostgresConfig } from './config.ts';
import { PgConnection } from './connection.ts';
import { openPostgresDestination } from './destination.ts';
import { PostgresSource } from './source.ts';
import { PostgresSystem } from './system.ts';
import { postgresWarehouse } from './warehouse.ts';

/** `--set` keys that this connector reads. */
const OPTIONS: Readonly<Record<string, (value: string) => boolean>> = {
  'postgres.heartbeat-ms': (value) => /^\d+$/.test(value) && Number(value) >= 100,
  'postgres.slot': (value) => /^[a-z0-9_]{1,63}$/.test(value),
  'postgres.publication': (value) => value !== '' && Buffer.byteLength(value) <= 63,
};

function checkOptions(context: ConnectorContext): void {
  for (const [key, value] of Object.entries(context.options)) {
    if (!key.startsWith('postgres.')) continue;
    const accepts = OPTIONS[key];
    if (accepts?.(value) === true) continue;
    throw new ForebayError('invalid_option', {
      message:
        accepts === undefined
          ? `unknown option ${key}`
          : `option ${key} cannot be ${JSON.stringify(value)}`,
      fix: `Known options: ${Object.keys(OPTIONS).join(', ')}.`,
    });
  }
}

function configOf(address: SystemAddress): PostgresConfig {
  const config = parsePostgresUrl(address.url.reveal(), address.credentials ?? null);
  return { ...config, lookup: address.lookup ?? null };
}

export const connector: Connector = {
  name: 'postgres',
  openSource: async (address, context) => {
    checkOptions(context);
    return new PostgresSource(await PostgresSystem.open(configOf(address), context));
  },
  openDestination: (address, context) => {
    checkOptions(context);
    return openPostgresDestination(configOf(address), context);
  },
  openWarehouse: async (address, context) => {
    checkOptions(context);
    const { signal } = context;
    const applicationName = 'forebay layers';
    return postgresWarehouse(
      await PgConnection.connect(configOf(address), { applicationName, signal }),
    );
  },
};
