/** Answers an authentication request of the server (PostgreSQL documentation, "Message Formats", type R). */
import { ForebayError } from '../../core/errors.ts';
import { md5Password, ScramExchange } from './auth.ts';
import { type PostgresConfig, printServer } from './config.ts';
import { message } from './wire.ts';

export interface AuthenticationRequest {
  readonly config: PostgresConfig;
  readonly write: (bytes: Buffer) => void;
  readonly body: Buffer;
  /** The exchange under way, if one has begun. */
  readonly scram: ScramExchange | null;
}

/** The exchange to go on with, if the server asked for one. */
export function answerAuthentication(request: AuthenticationRequest): ScramExchange | null {
  const { config, write, body, scram } = request;
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
  const password = config.password;
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
