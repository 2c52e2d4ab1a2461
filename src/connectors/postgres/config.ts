import type { LookupFunction } from 'node:net';
import { userInfo } from 'node:os';
import { z } from 'zod';
import type { SystemAddress } from '../../core/connector.ts';
import type { AccessTokens, Credentials } from '../../core/credentials.ts';
import { ForebayError } from '../../core/errors.ts';
import { Secret } from '../../core/secret.ts';

export const SSL_MODES = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
export type SslMode = (typeof SSL_MODES)[number];

/** Parameters after `?` in the URL; names as libpq has them. */
const parametersSchema = z.strictObject({
  sslmode: z.enum(SSL_MODES).optional(),
  sslrootcert: z.string().min(1).optional(),
  sslcert: z.string().min(1).optional(),
  sslkey: z.string().min(1).optional(),
  sslpassword: z.string().min(1).optional(),
  host: z.string().min(1).optional(),
  port: z.coerce.number().int().min(1).max(65_535).optional(),
  application_name: z.string().max(63).optional(),
  connect_timeout: z.coerce.number().int().min(1).max(3600).optional(),
});

type Parameters = z.infer<typeof parametersSchema>;

export interface PostgresConfig {
  /** Host name or address; null when a Unix socket is used. */
  readonly host: string | null;
  /** Folder of the Unix socket; null when TCP is used. */
  readonly socketFolder: string | null;
  readonly port: number;
  readonly user: string;
  readonly password: Secret | null;
  readonly database: string;
  readonly sslMode: SslMode;
  readonly sslRootCert: string | null;
  readonly sslCert: string | null;
  readonly sslKey: string | null;
  readonly sslPassphrase: Secret | null;
  /** Asked for every connection; what they give is the password. */
  readonly tokens: AccessTokens | null;
  readonly applicationName: string | null;
  readonly connectTimeoutMs: number;
  /** Resolves the host's name; null: as the machine does. */
  readonly lookup: LookupFunction | null;
}

const LOOPBACK = /^(localhost|127(\.\d+){3}|::1)$/i;
const URL_FORM = /^postgres(?:ql)?:\/\/(?:([^@/]*)@)?([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/i;

function invalid(message: string, fix?: string): ForebayError {
  return new ForebayError('invalid_url', fix === undefined ? { message } : { message, fix });
}

function decode(text: string, what: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid(
      `the ${what} in the postgres URL is not percent-encoded correctly`,
      'Write % itself as %25.',
    );
  }
}

interface HostPart {
  readonly host: string;
  readonly port: number | null;
}

function parseHost(text: string): HostPart {
  const match = /^(?:\[([^\]]+)\]|([^:]*))(?::(\d+))?$/.exec(text);
  if (!match) throw invalid(`cannot read host and port in ${JSON.stringify(text)}`);
  const port = match[3] === undefined ? null : Number(match[3]);
  if (port !== null && (port < 1 || port > 65_535)) throw invalid(`port ${port} is out of range`);
  return { host: match[1] ?? decode(match[2] ?? '', 'host'), port };
}

function parseParameters(query: string): Parameters {
  const given: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const [key, value] of new URLSearchParams(query)) given[key] = value;
  const parsed = parametersSchema.safeParse({ ...given });
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const name = issue?.code === 'unrecognized_keys' ? issue.keys.join(', ') : issue?.path.join('.');
  throw invalid(
    `parameter ${name ?? '?'} of the postgres URL: ${issue?.message ?? 'not valid'}`,
    `Known parameters: ${Object.keys(parametersSchema.shape).join(', ')}.`,
  );
}

interface UrlUser {
  readonly user: string;
  readonly password: Secret | null;
}

function parseUser(credentials: string): UrlUser {
  const colon = credentials.indexOf(':');
  const user = colon < 0 ? credentials : credentials.slice(0, colon);
  const password = colon < 0 ? '' : credentials.slice(colon + 1);
  const secret = password === '' ? process.env['PGPASSWORD'] : decode(password, 'password');
  return {
    user: user === '' ? (process.env['PGUSER'] ?? userInfo().username) : decode(user, 'user'),
    password: secret === undefined || secret === '' ? null : new Secret(secret),
  };
}

function tlsOf(
  parameters: Parameters,
): Pick<PostgresConfig, 'sslRootCert' | 'sslCert' | 'sslKey' | 'sslPassphrase'> {
  const { sslrootcert, sslcert, sslkey, sslpassword } = parameters;
  if ((sslcert === undefined) !== (sslkey === undefined)) {
    throw invalid(
      'sslcert and sslkey of the postgres URL come together',
      'Give both, or none; one file may hold certificate and key.',
    );
  }
  return {
    sslRootCert: sslrootcert ?? null,
    sslCert: sslcert ?? null,
    sslKey: sslkey ?? null,
    sslPassphrase: sslpassword === undefined ? null : new Secret(sslpassword),
  };
}

/** A certificate is of no use where the connection may go without TLS. */
function modeForCertificate(parameters: Parameters, isSocket: boolean): SslMode {
  const mode = parameters.sslmode ?? 'verify-full';
  if (!isSocket && mode !== 'disable' && mode !== 'prefer') return mode;
  throw invalid(
    isSocket
      ? 'a client certificate cannot go over a Unix socket'
      : `a client certificate needs TLS, and sslmode=${mode} does not insist on it`,
    isSocket ? 'Name the host.' : 'Leave sslmode out of the URL: verify-full is then taken.',
  );
}

type Proof = Pick<PostgresConfig, 'sslMode' | 'password' | 'tokens'> & ReturnType<typeof tlsOf>;

/** How the user proves who it is: as the URL says, but for what the credentials say. */
function proofOf(
  parameters: Parameters,
  urlPassword: Secret | null,
  where: { readonly host: string; readonly isSocket: boolean },
  credentials: Credentials | null,
): Proof {
  const { host, isSocket } = where;
  const usual = isSocket || LOOPBACK.test(host) ? 'prefer' : 'verify-full';
  const sslMode = parameters.sslmode ?? usual;
  const url: Proof = { ...tlsOf(parameters), sslMode, password: urlPassword, tokens: null };
  switch (credentials?.kind) {
    case undefined:
      return url;
    case 'password':
      return { ...url, password: credentials.password };
    case 'token':
      return { ...url, password: null, tokens: credentials.tokens };
    case 'certificate':
      return {
        ...url,
        sslMode: modeForCertificate(parameters, isSocket),
        sslCert: credentials.certFile,
        sslKey: credentials.keyFile,
        sslPassphrase: credentials.passphrase,
        sslRootCert: credentials.caFile ?? url.sslRootCert,
      };
  }
}

/** Reads `postgres://user:password@host:port/database?sslmode=...`; a socket is `?host=/folder`. */
export function parsePostgresUrl(
  url: string,
  credentials: Credentials | null = null,
): PostgresConfig {
  const match = URL_FORM.exec(url);
  if (!match) throw invalid('cannot read the postgres URL');
  const [, userText = '', hostText = '', path = '', query = ''] = match;
  const parameters = parseParameters(query);
  const { host: urlHost, port: urlPort } = parseHost(hostText);
  const host = urlHost === '' ? (parameters.host ?? 'localhost') : urlHost;
  const isSocket = host.startsWith('/');
  const urlUser = parseUser(userText);
  const user = credentials?.username ?? urlUser.user;
  return {
    host: isSocket ? null : host,
    socketFolder: isSocket ? host : null,
    port: urlPort ?? parameters.port ?? 5432,
    user,
    database: path === '' ? user : decode(path, 'database'),
    ...proofOf(parameters, urlUser.password, { host, isSocket }, credentials),
    applicationName: parameters.application_name ?? null,
    connectTimeoutMs: (parameters.connect_timeout ?? 15) * 1000,
    lookup: null,
  };
}

/** Whether a socket's other end is this machine. */
export function isLoopback(address: string | undefined): boolean {
  return address !== undefined && LOOPBACK.test(address.replace(/^::ffff:/i, ''));
}

/** `host:port` or the socket's path, for messages. */
export function printServer(config: PostgresConfig): string {
  if (config.socketFolder !== null) return `${config.socketFolder}/.s.PGSQL.${config.port}`;
  return `${config.host ?? 'localhost'}:${config.port}`;
}

export function postgresAddress(
  url: string,
  credentials: Credentials | null = null,
): SystemAddress {
  const config = parsePostgresUrl(url, credentials);
  const server = printServer(config);
  const host = config.host !== null && LOOPBACK.test(config.host) ? 'localhost' : config.host;
  return {
    connector: 'postgres',
    url: new Secret(url),
    display: `postgres://${config.user}@${server}/${config.database}`,
    identity: `postgres:${config.socketFolder ?? host ?? ''}:${config.port}/${config.database}`,
    label: config.database,
    reaches: {
      hosts: config.host === null ? [] : [config.host],
      files: [config.socketFolder, config.sslRootCert, config.sslCert, config.sslKey].filter(
        (file) => file !== null,
      ),
    },
    ...(credentials === null ? {} : { credentials }),
  };
}
