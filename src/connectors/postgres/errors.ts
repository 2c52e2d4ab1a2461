import { type ErrorCode, ForebayError } from '../../core/errors.ts';

/** Fields of an ErrorResponse (PostgreSQL documentation, "Error and Notice Message Fields"). */
export interface ServerError {
  readonly sqlState: string;
  readonly message: string;
  readonly hint: string | null;
  /** May name columns and values; never shown, used for constraint and column names only. */
  readonly constraint: string | null;
  readonly column: string | null;
  readonly table: string | null;
  /** The function of the server that reported it: the same in every language and version. */
  readonly routine: string | null;
}

const EXACT: Readonly<Record<string, ErrorCode>> = {
  '28P01': 'authentication_failed',
  '28000': 'authentication_failed',
  '3D000': 'database_missing',
  '42501': 'privilege_missing',
  '42P01': 'table_missing',
  '42703': 'column_missing',
  '25006': 'read_only',
  '53300': 'server_starting',
  '53400': 'no_free_slot',
  '53100': 'disk_full',
  '53200': 'connection_lost',
  '57P01': 'connection_lost',
  '57P02': 'connection_lost',
  '57P03': 'server_starting',
  '57P05': 'connection_lost',
  '57014': 'timeout',
  '55006': 'slot_in_use',
  '40001': 'conflict',
  '40P01': 'conflict',
  '55P03': 'conflict',
  '42P16': 'destination_incompatible',
  '42804': 'destination_incompatible',
  // Too many columns.
  '54011': 'destination_incompatible',
  '58030': 'disk_full',
};

const BY_CLASS: Readonly<Record<string, ErrorCode>> = {
  '08': 'connection_lost',
  '22': 'value_rejected',
  '23': 'constraint_violated',
};

export function codeForSqlState(sqlState: string): ErrorCode {
  return EXACT[sqlState] ?? BY_CLASS[sqlState.slice(0, 2)] ?? 'internal';
}

/** The routine of PL/pgSQL's RAISE: what it says is written by the database's users, who may put rows into it. */
const RAISE = 'exec_stmt_raise';

/**
 * The server's primary message may quote a value: of data that it cannot take all quotes are cut, and bytes; of
 * constraints it quotes names.
 */
export function withoutValues(
  error: Pick<ServerError, 'sqlState' | 'message' | 'routine'>,
): string {
  const { sqlState, message, routine } = error;
  if (routine === RAISE) return 'a function of the database refused it';
  if (sqlState.startsWith('22'))
    return message
      .replace(/:?\s*".*"/s, '')
      .replace(/:\s*0x.*$/s, '')
      .trim();
  return sqlState.startsWith('23') ? message.replace(/: ".*"$/s, '') : message;
}

const HBA_FIX =
  'Let the user in by pg_hba.conf of the server; where it says "no encryption", connect with sslmode=require or above.';

function refusedBy({ constraint, column }: ServerError): { readonly refusedBy?: string } {
  if (constraint !== null) return { refusedBy: `constraint ${constraint}` };
  return column === null ? {} : { refusedBy: `column ${column}` };
}

/** `code` where the place knows better than the SQLSTATE. */
export function serverFailure(
  error: ServerError,
  what: string,
  code: ErrorCode = codeForSqlState(error.sqlState),
): ForebayError {
  const message = withoutValues(error);
  return new ForebayError(code, {
    message: what,
    why: `${message} (SQLSTATE ${error.sqlState})`,
    systemCode: error.sqlState,
    ...refusedBy(error),
    ...(error.sqlState === '28000' && error.message.includes('pg_hba.conf')
      ? { fix: HBA_FIX }
      : {}),
  });
}

const CONNECT_CODES = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOENT',
  'ETIMEDOUT',
  'EACCES',
  'ECONNRESET',
  'EPIPE',
]);

/** A failure of the socket itself. `connected` tells whether work had begun. */
export function socketFailure(error: Error, server: string, connected: boolean): ForebayError {
  const systemCode = 'code' in error && typeof error.code === 'string' ? error.code : null;
  if (connected || systemCode === null || !CONNECT_CODES.has(systemCode)) {
    return new ForebayError('connection_lost', {
      message: `the connection to ${server} broke`,
      why: systemCode ?? error.message,
      ...(systemCode === null ? {} : { systemCode }),
    });
  }
  return new ForebayError('unreachable', {
    message: `cannot reach PostgreSQL at ${server}`,
    why: systemCode,
    systemCode,
  });
}
