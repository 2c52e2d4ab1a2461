/** What source and destination of one stream must keep to. Pure. */
import { ERROR_CODE_FORMS, isErrorCode } from './error-codes.ts';
import {
  listOf,
  type Outline,
  type Part,
  partAt,
  type StreamOutline,
  type SystemOutline,
  textOf,
} from './outline.ts';
import { type Rule, shown, type Violation } from './problem.ts';
import type { SystemType } from './schema-systems.ts';
import { isGlob } from './tables.ts';

type Found = Omit<Violation, 'path' | 'rule'>;

function at(part: Part, field: string, rule: Rule, found: Found): Violation {
  return { path: [...part.path, field], rule, ...found };
}

function connectionRules(system: SystemOutline): Violation[] {
  const { connection, database } = system;
  if (connection === null) return [];
  if (connection.kind === 'wrong') {
    const { message, fix } = connection;
    return [at(system, 'connection_string', 'connection-string', { message, fix })];
  }
  if (connection.database === null || database === null || connection.database === database) {
    return [];
  }
  return [
    at(system, 'database', 'database', {
      message: 'connection_string names another database',
      fix: 'Write the same name in both, or leave the database out of connection_string.',
    }),
  ];
}

/** The password of an authentication, and whose it is, where it is one. */
function loginRules(system: SystemOutline, outline: Outline): Violation[] {
  const { connection, authId, type } = system;
  if (connection?.kind !== 'read') return [];
  if (authId === null) {
    if (type !== 'cosmosdb' || connection.password !== null) return [];
    return [
      at(system, 'connection_string', 'credentials', {
        message: 'the connection string has no key, and there is no auth_id',
        fix: 'Add AccountKey=... or name an entry of authentication in auth_id.',
      }),
    ];
  }
  const entry = outline.authenticationById.get(authId);
  if (entry === undefined) return [];
  const contradicts = (field: string, given: string | null): boolean => {
    const own = outline.textAt([...entry.path, 'config', field]);
    return given !== null && own !== null && own !== given;
  };
  const isToken = textOf(entry, 'type') === 'azure_entra' && connection.password !== null;
  const twice = [
    ...(contradicts('username', connection.user) ? ['another user'] : []),
    ...(contradicts('password', connection.password) || isToken ? ['a password too'] : []),
  ];
  return twice.map((what) =>
    at(system, 'connection_string', 'credentials', {
      message: `auth_id ${authId} gives the login, and the connection string has ${what}`,
      fix: 'Take user and password out of connection_string, or leave out auth_id.',
    }),
  );
}

const POSTGRES_ONLY = {
  source: ['publication', 'slot'],
  destination: ['schema'],
} as const;

function optionRules(system: SystemOutline): Violation[] {
  const { type, options, role } = system;
  if (type === null || type === 'postgres') return [];
  return POSTGRES_ONLY[role]
    .filter((field) => field in options.fields)
    .map((field) =>
      at(options, field, 'option-of-type', {
        message: `${type} has no ${field}: it is an option for postgres`,
        fix: 'Remove it.',
      }),
    );
}

function tableRules({ source, destination }: StreamOutline): Violation[] {
  const { table } = destination;
  if (table === null) return [];
  if (isGlob(table)) {
    return [
      at(destination, 'collection_table', 'single-table', {
        message: 'the destination is one table, not a glob',
        fix: "Write a name, or leave it out to keep the source's names.",
      }),
    ];
  }
  if (source.table !== null && !isGlob(source.table)) return [];
  return [
    at(destination, 'collection_table', 'single-table', {
      message: 'several tables of the source would land in this one',
      fix: 'Name a single table in source.collection_table, or leave this out.',
    }),
  ];
}

function codeRules(stream: StreamOutline): Violation[] {
  const types: SystemType[] = [...new Set([stream.source.type, stream.destination.type])].filter(
    (type) => type !== null,
  );
  if (types.length === 0) return [];
  const policy = partAt(stream, 'retry_policy');
  const words = types.map((type) => `${type}: ${ERROR_CODE_FORMS[type].words}`).join('; ');
  return listOf(policy, 'permanent_error_codes').flatMap((code, index) => {
    if (typeof code !== 'string' || types.some((type) => isErrorCode(type, code))) return [];
    return [
      {
        path: [...policy.path, 'permanent_error_codes', index],
        rule: 'error-code',
        message: `${shown(code)} is no error code of ${types.join(' or ')}`,
        fix: `Write ${words}.`,
      } as const,
    ];
  });
}

export function systemRules(outline: Outline): Violation[] {
  return outline.streams.flatMap((stream) => [
    ...[stream.source, stream.destination].flatMap((system) => [
      ...connectionRules(system),
      ...loginRules(system, outline),
      ...optionRules(system),
    ]),
    ...tableRules(stream),
    ...codeRules(stream),
  ]);
}
