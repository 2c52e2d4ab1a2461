/** Answers an authentication request of the server (PostgreSQL documentation, "Message Formats", type R). */
import type { AccessToken } from '../../core/credentials.ts';
import { type ErrorCode, ForebayError } from '../../core/errors.ts';
import { md5Password, ScramExchange } from './auth.ts';
import { type PostgresConfig, printServer } from './config.ts';
import { codeForSqlState, serverFailure, type ServerError } from './errors.ts';
import { message } from './wire.ts';

/** What one connection logs in with. */
export interface Login {
  readonly config: PostgresConfig;
  readonly token: AccessToken | null;
}

/** A token is asked for before the server is, which would not wait long for it. */
export async function prepareLogin(config: PostgresConfig, signal: AbortSignal): Promise<Login> {
  const token = config.tokens === null ? null : await config.tokens.fetch(signal);
  if (token !== null && token.expiresAtMs <= Date.now()) {
    throw new ForebayError('token_expired', {
      message: `the access token for ${printServer(config)} ended at ${new Date(token.expiresAtMs).toISOString()}`,
    });
  }
  return { config, token };
}

function refusalCode(error: ServerError, { config, token }: Login): ErrorCode {
  const code = codeForSqlState(error.sqlState);
  // The first is pg_hba.conf, which looks at neither; the second a role that is not there or may not log in.
  const others = ['ClientAuthentication', 'InitializeSessionUserId'];
  if (code !== 'authentication_failed' || others.includes(error.routine ?? '')) return code;
  if (token !== null) return token.expiresAtMs <= Date.now() ? 'token_expired' : 'token_refused';
  return config.sslCert !== null && error.sqlState === '28000' ? 'certificate_refused' : code;
}

/** An error that the server answers the startup with; a token that it refused is not shown again. */
export function loginRefused(error: ServerError, login: Login): ForebayError {
  const { config, token } = login;
  const code = refusalCode(error, login);
  if (token !== null && (code === 'token_refused' || code === 'token_expired')) {
    config.tokens?.discard(token);
  }
  const what = `${printServer(config)} refused the connection for user ${config.user} to database ${config.database}`;
  return serverFailure(error, what, code);
}

export interface AuthenticationRequest {
  readonly login: Login;
  readonly write: (bytes: Buffer) => void;
  readonly body: Buffer;
  /** The exchange under way, if one has begun. */
  readonly scram: ScramExchange | null;
}

/** The exchange to go on with, if the server asked for one. */
export function answerAuthentication(request: AuthenticationRequest): ScramExchange | null {
  const { login, write, body, scram } = request;
  const { config } = login;
  const server = printServer(config);
  const kind = body.readInt32BE(0);
  if (kind === 0) return scram;
  if (kind === 11 || kind === 12) {
    if (scram === null)
      throw new ForebayError('protocol', { message: 'SASL answer without a start' });
    const text = body.toString('utf8', 4);
    if (kind === 11) write(message('p', Buffer.from(scram.clientFinal(text))));
    else scram.verifyServer(text);
    return scram;
  }
  const password = login.token?.token ?? config.password;
  if (password === null) {
    throw new ForebayError('authentication_failed', {
      message: `${server} asks for a password and none was given for user ${config.user}`,
    });
  }
  if (kind === 3) write(message('p', password.reveal()));
  else if (kind === 5) {
    write(message('p', md5Password(config.user, password, body.subarray(4, 8))));
  } else if (kind === 10 && body.includes('SCRAM-SHA-256\0')) {
    const exchange = new ScramExchange(password);
    const first = Buffer.from(exchange.clientFirst());
    const length = Buffer.alloc(4);
    length.writeInt32BE(first.length);
    write(message('p', 'SCRAM-SHA-256', length, first));
    return exchange;
  } else {
    throw new ForebayError('authentication_failed', {
      message: `${server} asks for an authentication method that is not supported (${kind})`,
      fix: 'Use scram-sha-256 or md5 for this user in pg_hba.conf.',
    });
  }
  return scram;
}
