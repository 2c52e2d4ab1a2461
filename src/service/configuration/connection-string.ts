/** Connection strings of the four types: form, and what they say. Connects to nothing. Pure. */
import { parsePostgresUrl } from '../../connectors/postgres/config.ts';
import { ForebayError } from '../../core/errors.ts';
import { canonicalHost, isStandardSocket } from './hosts.ts';
import type { SystemType } from './schema-systems.ts';

export interface ConnectionString {
  readonly kind: 'read';
  /** What it leads to, equal for equal systems however they are written. Several for a replica set. */
  readonly servers: readonly string[];
  readonly user: string | null;
  readonly password: string | null;
  readonly database: string | null;
}

export interface WrongConnectionString {
  readonly kind: 'wrong';
  readonly message: string;
  readonly fix: string;
}

export type ReadConnectionString = ConnectionString | WrongConnectionString;

export const CONNECTION_FORMS: Readonly<Record<SystemType, readonly string[]>> = {
  postgres: [
    'postgres://user:password@host:5432/database',
    'host=... port=... user=... password=... dbname=...',
  ],
  mysql: ['mysql://user:password@host:3306/database'],
  mongodb: [
    'mongodb://user:password@host:27017/database',
    'mongodb+srv://user:password@host/database',
  ],
  cosmosdb: [
    'AccountEndpoint=https://account.documents.azure.com:443/;AccountKey=...',
    'cosmosdb://account.documents.azure.com/database',
    'mongodb://... for the MongoDB API',
  ],
};

function wrong(type: SystemType, message: string, fix?: string): WrongConnectionString {
  return { kind: 'wrong', message, fix: fix ?? `Write ${CONNECTION_FORMS[type].join(' or ')}.` };
}

interface UrlParts {
  readonly scheme: string;
  readonly user: string | null;
  readonly password: string | null;
  readonly hosts: readonly { readonly host: string; readonly port: number | null }[];
  readonly database: string | null;
  readonly parameters: URLSearchParams;
}

const URL_FORM =
  /^([a-z][a-z0-9+.-]*):\/\/(?:([^@/?#]*)@)?([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/i;
const HOST_FORM = /^(?:\[([0-9a-f:.]+)\]|([^:[\]@\s]*))(?::(\d{1,5}))?$/i;

function decoded(part: string | undefined): string | null {
  return part === undefined || part === '' ? null : decodeURIComponent(part);
}

function readHosts(list: string): UrlParts['hosts'] | null {
  const hosts = list.split(',').map((one) => {
    const match = HOST_FORM.exec(one);
    if (match === null) return null;
    const port = match[3] === undefined ? null : Number(match[3]);
    if (port !== null && (port < 1 || port > 65_535)) return null;
    return { host: match[1] ?? match[2] ?? '', port };
  });
  return hosts.every((host) => host !== null) ? hosts : null;
}

/** Never quotes the text: it may hold a password. */
function readUrl(type: SystemType, text: string): UrlParts | WrongConnectionString {
  const match = URL_FORM.exec(text);
  if (match === null || (match[2] === undefined && `${match[4]}${match[5]}`.includes('@'))) {
    return wrong(
      type,
      'the connection string is no URL that can be read',
      'Write @ as %40, / as %2F, # as %23 and ? as %3F in user and password.',
    );
  }
  const [, scheme = '', credentials, hostList = '', path, query = ''] = match;
  const hosts = readHosts(hostList);
  if (hosts === null) {
    return wrong(
      type,
      'host and port of the connection string cannot be read',
      'Write host:port; in user and password write @ as %40, / as %2F and : as %3A.',
    );
  }
  const [user, ...password] = (credentials ?? '').split(':');
  try {
    return {
      scheme: scheme.toLowerCase(),
      user: decoded(user),
      password: decoded(password.join(':')),
      hosts,
      database: decoded(path),
      parameters: new URLSearchParams(query),
    };
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    return wrong(
      type,
      'the connection string is not percent-encoded correctly',
      'Write % itself as %25.',
    );
  }
}

function server(type: SystemType, host: string, port: number): string {
  return `${type}:${canonicalHost(host)}:${port}`;
}

const KEYWORD = /\s*([a-z_]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)*))\s*/y;

function keywordsOf(text: string): Map<string, string> | null {
  const values = new Map<string, string>();
  KEYWORD.lastIndex = 0;
  while (KEYWORD.lastIndex < text.length) {
    const match = KEYWORD.exec(text);
    if (match === null) return null;
    values.set(match[1] ?? '', (match[2] ?? match[3] ?? '').replaceAll(/\\(.)/gs, '$1'));
  }
  return values;
}

/** `host=... dbname=...` as the URL that says the same; null if it is neither. */
export function postgresUrl(text: string): string | null {
  if (/^postgres(?:ql)?:\/\//i.test(text)) return text;
  const values = /^\s*[a-z_]+\s*=/.test(text) ? keywordsOf(text) : null;
  if (values === null) return null;
  const take = (key: string): string => {
    const value = values.get(key) ?? '';
    values.delete(key);
    return encodeURIComponent(value);
  };
  const [user, password, database] = [take('user'), take('password'), take('dbname')];
  const login = user === '' && password === '' ? '' : `${user}:${password}@`;
  return `postgres://${login}/${database}?${new URLSearchParams([...values]).toString()}`;
}

function readPostgres(text: string): ReadConnectionString {
  const url = postgresUrl(text);
  if (url === null) return wrong('postgres', 'this is no connection string of PostgreSQL');
  const parts = readUrl('postgres', url);
  if ('kind' in parts) return parts;
  if (parts.hosts.length > 1)
    return wrong('postgres', 'several hosts stand in the connection string', 'Name one host.');
  try {
    const { host, socketFolder, port } = parsePostgresUrl(url);
    const socket = isStandardSocket(socketFolder ?? '') ? 'localhost' : socketFolder;
    const { user, password, database } = parts;
    const servers = [server('postgres', socket ?? host ?? 'localhost', port)];
    return { kind: 'read', servers, user, password, database };
  } catch (error) {
    if (!(error instanceof ForebayError)) throw error;
    return wrong('postgres', error.message, error.fix);
  }
}

function readMysql(text: string): ReadConnectionString {
  if (!/^mysql:\/\//i.test(text)) return wrong('mysql', 'this is no connection string of MySQL');
  const parts = readUrl('mysql', text);
  if ('kind' in parts) return parts;
  const [first, ...others] = parts.hosts;
  if (others.length > 0)
    return wrong('mysql', 'several hosts stand in the connection string', 'Name one host.');
  const socket = parts.parameters.get('socket') ?? parts.parameters.get('socketPath') ?? '';
  const named = socket === '' || isStandardSocket(socket) ? (first?.host ?? '') : socket;
  const { user, password, database } = parts;
  const servers = [server('mysql', named === '' ? 'localhost' : named, first?.port ?? 3306)];
  return { kind: 'read', servers, user, password, database };
}

const AZURE = /^([^.]+)\.(?:documents|mongo\.cosmos|mongocluster\.cosmos)\.azure\.com$/i;

/** One account is one system by whichever API it is reached. */
function cosmosServer(host: string, port: number): string {
  const account = AZURE.exec(host)?.[1];
  return account === undefined
    ? server('cosmosdb', host, port)
    : `cosmosdb:account:${account.toLowerCase()}`;
}

function readMongodb(type: SystemType, text: string): ReadConnectionString {
  if (!/^mongodb(?:\+srv)?:\/\//i.test(text)) {
    return wrong(type, 'this is no connection string of MongoDB');
  }
  const parts = readUrl(type, text);
  if ('kind' in parts) return parts;
  const isSrv = parts.scheme === 'mongodb+srv';
  if (parts.hosts.some(({ host }) => host === '')) {
    return wrong(type, 'the connection string names no host');
  }
  if (isSrv && (parts.hosts.length > 1 || parts.hosts[0]?.port !== null)) {
    return wrong(
      type,
      'mongodb+srv takes one host and no port',
      'Write mongodb+srv://host/database.',
    );
  }
  const servers = parts.hosts.map(({ host, port }) => {
    if (type === 'cosmosdb' || AZURE.test(host)) return cosmosServer(host, port ?? 10_255);
    return isSrv ? `mongodb:srv:${canonicalHost(host)}` : server('mongodb', host, port ?? 27_017);
  });
  const { user, password } = parts;
  // The database that users are kept in stands in the same place.
  const database = parts.database === 'admin' ? null : parts.database;
  return { kind: 'read', servers, user, password, database };
}

function readAccount(text: string): ReadConnectionString {
  const values = new Map<string, string>();
  for (const part of text.split(';')) {
    if (part.trim() === '') continue;
    const [, key, value] = /^\s*(\w+)\s*=(.*)$/s.exec(part) ?? [];
    if (key === undefined || value === undefined) {
      return wrong('cosmosdb', 'the connection string is no list of Name=value;');
    }
    values.set(key.toLowerCase(), value.trim());
  }
  const endpoint = values.get('accountendpoint') ?? '';
  const url = URL.canParse(endpoint) ? new URL(endpoint) : null;
  if (url === null || !/^https?:$/.test(url.protocol)) {
    return wrong('cosmosdb', 'AccountEndpoint is missing or no https URL');
  }
  const key = values.get('accountkey') ?? null;
  if (key !== null && !/^[A-Za-z0-9+/]+={0,2}$/.test(key)) {
    return wrong('cosmosdb', 'AccountKey is not base64', 'Copy the key from the account anew.');
  }
  const servers = [cosmosServer(url.hostname, Number(url.port === '' ? 443 : url.port))];
  return {
    kind: 'read',
    servers,
    user: null,
    password: key,
    database: values.get('database') ?? null,
  };
}

function readCosmosdb(text: string): ReadConnectionString {
  if (/^mongodb(?:\+srv)?:\/\//i.test(text)) return readMongodb('cosmosdb', text);
  if (/\bAccountEndpoint\s*=/i.test(text)) return readAccount(text);
  if (!/^cosmosdb:\/\//i.test(text)) {
    return wrong('cosmosdb', 'this is no connection string of Cosmos DB');
  }
  const parts = readUrl('cosmosdb', text);
  if ('kind' in parts) return parts;
  const [first] = parts.hosts;
  if (first === undefined || first.host === '' || parts.hosts.length > 1) {
    return wrong('cosmosdb', 'the connection string must name one account');
  }
  const { user, password, database } = parts;
  const host =
    first.host.includes('.') || first.port !== null || canonicalHost(first.host) === 'localhost'
      ? first.host
      : `${first.host}.documents.azure.com`;
  return {
    kind: 'read',
    servers: [cosmosServer(host, first.port ?? 443)],
    user,
    password,
    database,
  };
}

export function readConnectionString(type: SystemType, text: string): ReadConnectionString {
  switch (type) {
    case 'postgres':
      return readPostgres(text.trim());
    case 'mysql':
      return readMysql(text.trim());
    case 'mongodb':
      return readMongodb('mongodb', text.trim());
    case 'cosmosdb':
      return readCosmosdb(text.trim());
  }
}
