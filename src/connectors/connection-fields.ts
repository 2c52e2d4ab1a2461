/** A stored connection's fields by connector type, and the URL that they make. Connects to nothing, loads no driver. */
import { z } from 'zod';
import { ForebayError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';

const SSL_MODES = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;

const text = (description: string): z.ZodString => z.string().min(1).describe(description);
/** Marked for whoever shows the schema: written, never read back. */
const secret = (description: string): z.ZodString =>
  z.string().min(1).meta({ description, format: 'password', writeOnly: true });

const postgresFields = z.strictObject({
  host: text('name or address of the server, or the folder of its Unix socket').optional(),
  port: z.int().min(1).max(65_535).default(5432).optional(),
  database: text('name of the database').optional(),
  user: text('who connects').optional(),
  password: secret('password of the user').optional(),
  ssl_mode: z
    .enum(SSL_MODES)
    .describe('left out: verify-full, on loopback and sockets prefer')
    .optional(),
  ssl_root_cert: text('file with the certificates that the server may be signed by').optional(),
  connection_string: secret(
    'postgres://user:password@host:port/database, in place of the fields',
  ).optional(),
});

const duckdbFields = z.strictObject({
  path: text('file of the database').optional(),
  connection_string: text('duckdb:path/to/file.duckdb, in place of the path').optional(),
});

export type PostgresFields = z.infer<typeof postgresFields>;
export type DuckdbFields = z.infer<typeof duckdbFields>;

export interface ConnectionType {
  readonly title: string;
  readonly fields: z.ZodObject;
  readonly secrets: readonly string[];
}

/** Under the names of the API; more than the connectors that are there are refused by their absence. */
export const CONNECTION_TYPES: Readonly<Record<string, ConnectionType>> = {
  postgres: {
    title: 'PostgreSQL',
    fields: postgresFields,
    secrets: ['password', 'connection_string'],
  },
  duckdb: { title: 'DuckDB', fields: duckdbFields, secrets: [] },
};

function missing(field: string): ForebayError {
  return new ForebayError('request_invalid', {
    message: `the connection has no ${field}`,
    fix: `Give ${field}, or a connection_string.`,
  });
}

function postgresUrl(fields: PostgresFields): string {
  if (fields.connection_string !== undefined) return fields.connection_string;
  const { host, database, user } = fields;
  if (host === undefined) throw missing('host');
  if (database === undefined) throw missing('database');
  if (user === undefined) throw missing('user');
  const login = [user, ...(fields.password === undefined ? [] : [fields.password])];
  const parameters = new URLSearchParams();
  if (fields.ssl_mode !== undefined) parameters.set('sslmode', fields.ssl_mode);
  if (fields.ssl_root_cert !== undefined) parameters.set('sslrootcert', fields.ssl_root_cert);
  const isSocket = host.startsWith('/');
  if (isSocket) parameters.set('host', host);
  if (isSocket && fields.port !== undefined) parameters.set('port', String(fields.port));
  const named = host.includes(':') ? `[${host}]` : encodeURIComponent(host);
  const server = isSocket ? '' : `${named}:${fields.port ?? 5432}`;
  const query = parameters.size === 0 ? '' : `?${parameters.toString()}`;
  const who = login.map(encodeURIComponent).join(':');
  return `postgres://${who}@${server}/${encodeURIComponent(database)}${query}`;
}

function duckdbUrl(fields: DuckdbFields): string {
  if (fields.connection_string !== undefined) return fields.connection_string;
  if (fields.path === undefined) throw missing('path');
  return `duckdb:${fields.path}`;
}

/** `fields`: what is stored, with its secrets. Fails with `request_invalid`, or `capability_missing` for an unknown type. */
export function connectionUrl(type: string, fields: unknown): Secret {
  const known = CONNECTION_TYPES[type];
  if (known === undefined) {
    throw new ForebayError('capability_missing', {
      message: `there is no connector ${type} in this release`,
    });
  }
  const parsed = known.fields.safeParse(fields);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new ForebayError('request_invalid', {
      message: `${issue?.path.join('.') ?? 'the connection'}: ${issue?.message ?? 'not valid'}`,
    });
  }
  const url = type === 'postgres' ? postgresUrl(parsed.data) : duckdbUrl(parsed.data);
  const schemes = type === 'postgres' ? /^postgres(?:ql)?:\/\//i : /^duckdb:/i;
  if (schemes.test(url)) return new Secret(url);
  throw new ForebayError('invalid_url', {
    message: `the connection string names no ${type} system`,
  });
}
