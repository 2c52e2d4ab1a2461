/** What a connection to each type of system is configured with. */
import { z } from 'zod';

const text = (description: string) => z.string().min(1).max(4096).meta({ description });

/** Can be written, and is never answered. */
const secret = (description: string) =>
  z.string().min(1).max(65_536).meta({ description, format: 'password', writeOnly: true });

const port = (usual: number) =>
  z
    .int()
    .min(1)
    .max(65_535)
    .meta({ description: `TCP port; left out, ${usual}.`, default: usual });

const sslMode = z
  .enum(['disable', 'prefer', 'require', 'verify-ca', 'verify-full'])
  .meta({ description: 'How TLS is used; left out, verify-full, and prefer on this machine.' });

const server = (usual: number) => ({
  host: text('Name or address of the server.'),
  port: port(usual),
  database: text('Name of the database.'),
  user: text('User to log in as.'),
  password: secret('Password of the user.'),
});

interface ConnectorForm {
  readonly title: string;
  readonly fields: Readonly<Record<string, z.ZodType>>;
  /** Needed where no `connection_string` stands instead. */
  readonly required: readonly string[];
  /** Whether `connection_string` may stand instead of the fields. */
  readonly takesString: boolean;
}

const form = (
  title: string,
  fields: ConnectorForm['fields'],
  required: readonly string[],
  takesString = true,
): ConnectorForm => ({ title, fields, required, takesString });

const FORMS = {
  postgres: form('PostgreSQL', { ...server(5432), ssl_mode: sslMode }, [
    'host',
    'database',
    'user',
  ]),
  mysql: form('MySQL, MariaDB', { ...server(3306), ssl_mode: sslMode }, [
    'host',
    'database',
    'user',
  ]),
  mongodb: form(
    'MongoDB',
    {
      ...server(27_017),
      auth_source: text('Database that knows the user.'),
      replica_set: text('Name of the replica set.'),
      tls: z.boolean().meta({ description: 'Whether TLS is used.' }),
    },
    ['host', 'database'],
  ),
  cosmosdb: form(
    'Azure Cosmos DB',
    {
      endpoint: text('Address of the account.'),
      key: secret('Key of the account.'),
      database: text('Name of the database.'),
    },
    ['endpoint', 'database'],
  ),
  oracle: form(
    'Oracle',
    {
      host: text('Name or address of the server.'),
      port: port(1521),
      service_name: text('Name of the service.'),
      user: text('User to log in as.'),
      password: secret('Password of the user.'),
    },
    ['host', 'service_name', 'user'],
  ),
  sqlserver: form(
    'SQL Server',
    { ...server(1433), encrypt: z.boolean().meta({ description: 'Whether TLS is used.' }) },
    ['host', 'database', 'user'],
  ),
  duckdb: form('DuckDB', { path: text('Path of the file.') }, ['path']),
  snowflake: form(
    'Snowflake',
    {
      account: text('Identifier of the account.'),
      user: text('User to log in as.'),
      password: secret('Password of the user.'),
      private_key: secret('Private key of the user, PEM.'),
      private_key_passphrase: secret('Passphrase of the private key.'),
      role: text('Role to take.'),
      warehouse: text('Warehouse that computes.'),
      database: text('Name of the database.'),
      schema: text('Name of the schema.'),
    },
    ['account', 'user', 'warehouse', 'database'],
  ),
  bigquery: form(
    'BigQuery',
    {
      project_id: text('Id of the project.'),
      dataset: text('Name of the dataset.'),
      location: text('Where the dataset is.'),
      credentials_json: secret('Key of a service account; left out, the identity of the machine.'),
    },
    ['project_id'],
    false,
  ),
  databricks: form(
    'Databricks',
    {
      host: text('Name of the workspace.'),
      http_path: text('Path of the SQL warehouse.'),
      token: secret('Access token.'),
      catalog: text('Name of the catalog.'),
      schema: text('Name of the schema.'),
    },
    ['host', 'http_path'],
  ),
  s3: form(
    'Amazon S3',
    {
      bucket: text('Name of the bucket.'),
      region: text('Region of the bucket.'),
      access_key: text('Id of the access key.'),
      secret_key: secret('The secret access key.'),
      prefix: text('What the keys of the files begin with.'),
      endpoint: text('Address of another service that speaks S3.'),
    },
    ['bucket', 'region'],
    false,
  ),
  gcs: form(
    'Google Cloud Storage',
    {
      bucket: text('Name of the bucket.'),
      project_id: text('Id of the project.'),
      prefix: text('What the names of the files begin with.'),
      credentials_json: secret('Key of a service account; left out, the identity of the machine.'),
    },
    ['bucket', 'project_id'],
    false,
  ),
  file: form(
    'Files',
    {
      path: text('Folder or file, with globs.'),
      format: z.enum(['csv', 'ndjson', 'json', 'parquet']).meta({ description: 'Of the files.' }),
    },
    ['path'],
    false,
  ),
  rest: form(
    'REST API',
    {
      base_url: z.httpUrl().max(4096).meta({ description: 'What all addresses begin with.' }),
      auth_type: z
        .enum(['none', 'api_key', 'bearer', 'basic', 'oauth2'])
        .meta({ description: 'How requests say who asks.' }),
      api_key: secret('The key, for api_key.'),
      api_key_header: text('Header that carries the key.'),
      token: secret('The token, for bearer.'),
      user: text('User, for basic.'),
      password: secret('Password, for basic.'),
      token_url: z.httpUrl().max(4096).meta({ description: 'Issuer of tokens, for oauth2.' }),
      client_id: text('Id of the client, for oauth2.'),
      client_secret: secret('Secret of the client, for oauth2.'),
      scope: text('What the token is for, for oauth2.'),
    },
    ['base_url'],
    false,
  ),
  singer: form(
    'Singer tap',
    {
      tap: text('Name of the tap.'),
      tap_config: secret('Configuration of the tap, a JSON document.'),
    },
    ['tap'],
    false,
  ),
} as const satisfies Record<string, ConnectorForm>;

export type ConnectorType = keyof typeof FORMS;
export const CONNECTOR_TYPES = Object.keys(FORMS) as [ConnectorType, ...ConnectorType[]];

const OTHER_NAMES: Readonly<Record<string, ConnectorType>> = { localfile: 'file', api: 'rest' };

export const connectorTypeSchema = z
  .enum(CONNECTOR_TYPES)
  .meta({ description: 'Type of the system.', examples: ['postgres'] });

/** Also by the other names that two of the types have. */
export const connectorTypeInput = z
  .enum([...CONNECTOR_TYPES, 'localfile', 'api'])
  .meta({ description: 'Type of the system; localfile is file, api is rest.' });

export function connectorTypeOf(input: z.output<typeof connectorTypeInput>): ConnectorType {
  // The input is one of the types where it is no other name.
  return OTHER_NAMES[input] ?? (input as ConnectorType);
}

const CONNECTION_STRING = 'connection_string';
const connectionString = secret('The address of the system with all that it holds, as a URL.');

function shapeOf(connectorForm: ConnectorForm): Record<string, z.ZodType> {
  return {
    ...connectorForm.fields,
    ...(connectorForm.takesString ? { [CONNECTION_STRING]: connectionString } : {}),
  };
}

export interface ConnectorConfiguration {
  readonly type: ConnectorType;
  readonly title: string;
  /** Every field is optional here: what is required depends on the secrets that are stored already. */
  readonly schema: z.ZodType<Record<string, unknown>>;
  readonly fieldNames: readonly string[];
  readonly secretNames: ReadonlySet<string>;
  /** For people and their forms. */
  readonly jsonSchema: Readonly<Record<string, unknown>>;
}

function configurationOf(type: ConnectorType): ConnectorConfiguration {
  const connectorForm: ConnectorForm = FORMS[type];
  const shape = shapeOf(connectorForm);
  const optional = Object.fromEntries(
    Object.entries(shape).map(([field, schema]) => [field, schema.optional()]),
  );
  const { $schema: _, ...jsonSchema } = z.toJSONSchema(z.strictObject(optional), { io: 'input' });
  const { required, takesString } = connectorForm;
  return {
    type,
    title: connectorForm.title,
    schema: z.strictObject(optional),
    fieldNames: Object.keys(shape),
    secretNames: new Set(
      Object.keys(shape).filter((field) => shape[field]?.meta()?.['writeOnly'] === true),
    ),
    jsonSchema: takesString
      ? { ...jsonSchema, anyOf: [{ required: [...required] }, { required: [CONNECTION_STRING] }] }
      : { ...jsonSchema, required: [...required] },
  };
}

const CONFIGURATIONS = new Map(CONNECTOR_TYPES.map((type) => [type, configurationOf(type)]));

export function connectorConfiguration(type: ConnectorType): ConnectorConfiguration {
  const found = CONFIGURATIONS.get(type);
  if (found === undefined) throw new Error(`no configuration of ${type}`);
  return found;
}

/** What is missing or too much; `given` holds the names of all fields, stored secrets included. */
export function missingFields(type: ConnectorType, given: ReadonlySet<string>): readonly string[] {
  if (given.has(CONNECTION_STRING)) return [];
  return FORMS[type].required.filter((field) => !given.has(field));
}

/** Fields that would say otherwise what the connection string says. */
export function doubledFields(given: ReadonlySet<string>): readonly string[] {
  if (!given.has(CONNECTION_STRING)) return [];
  return [...given].filter((field) => field !== CONNECTION_STRING);
}
