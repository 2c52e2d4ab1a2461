/** Keeps a token of a server, and forgets it. */
import process from 'node:process';
import { text as readAll } from 'node:stream/consumers';
import { z } from 'zod';
import { organizationListSchema, sessionSchema } from '../../api/schemas/access.ts';
import { type ExitCode, ForebayError } from '../../core/errors.ts';
import { Secret } from '../../core/secret.ts';
import { ApiClient } from '../api-client.ts';
import type { RunCommand } from '../call.ts';
import { printable } from '../client/printable.ts';
import { chooseTarget, isOpenToOthers, readServerUrl } from '../client/server-address.ts';
import {
  readSessions,
  removeSession,
  sessionPath,
  storeSession,
  type StoredSession,
} from '../client/session-file.ts';
import { withInterruption } from '../interruption.ts';
import { readOptions } from '../options.ts';
import type { Terminal } from '../terminal.ts';

const shape = { tokenStdin: z.boolean().default(false) };

interface Credentials {
  readonly email: string;
  readonly password: string;
}

async function askCredentials(terminal: Terminal): Promise<Credentials> {
  if (!terminal.canAsk) {
    throw new ForebayError('usage', {
      message: 'Nobody can be asked for a password here',
      fix: 'Give a token: `forebay login <url> --token-stdin < token`, or set FOREBAY_TOKEN.',
    });
  }
  const prompts = await import('@clack/prompts');
  const output = process.stderr;
  const answer = (value: string | symbol): string => {
    if (typeof value === 'string') return value;
    throw new ForebayError('interrupted', { message: 'The login was interrupted' });
  };
  const email = answer(await prompts.text({ message: 'E-mail', output }));
  const password = answer(await prompts.password({ message: 'Password', output }));
  return { email, password };
}

interface Entry {
  readonly session: StoredSession;
  readonly organization: string;
}

async function withPassword(api: ApiClient, body: Credentials): Promise<Entry> {
  const path = '/api/v1/login';
  const made = await api.request(sessionSchema, { method: 'POST', path, body, once: true });
  const { token, expires_at, user, organization } = made;
  return { session: { token, expires_at, email: user.email }, organization: organization.name };
}

/** Kept only if the server takes it. */
async function withToken(server: string, signal: AbortSignal): Promise<Entry> {
  const token = (await readAll(process.stdin)).trim();
  if (!/^[\x21-\x7e]{1,200}$/.test(token)) {
    throw new ForebayError('usage', {
      message: 'There is no token on stdin',
      fix: 'Write the token alone: `forebay login <url> --token-stdin < token`.',
    });
  }
  const api = new ApiClient({ server, token: new Secret(token) }, signal);
  const { organizations } = await api.get(organizationListSchema, '/api/v1/organizations');
  const organization = organizations[0]?.name ?? '';
  return { session: { token, email: null, expires_at: null }, organization };
}

export const run: RunCommand = async ({ args, options, terminal }) => {
  const { tokenStdin } = readOptions(shape, options);
  const server = readServerUrl(args[0] ?? '');
  const path = sessionPath(process.env);
  // Looked at first: a password is not asked for in vain.
  readSessions(path);
  if (isOpenToOthers(server)) {
    terminal.err(`warning: ${server} is not encrypted; what is sent can be read on the way\n`);
  }
  return await withInterruption(async (signal): Promise<ExitCode> => {
    const { session, organization } = tokenStdin
      ? await withToken(server, signal)
      : await withPassword(
          new ApiClient({ server, token: null }, signal),
          await askCredentials(terminal),
        );
    storeSession(path, server, session);
    const until = session.expires_at === null ? '' : ` until ${session.expires_at}`;
    terminal.err(`Logged in to ${server} (${printable(organization)})${until}\n`);
    return 0;
  });
};

const logoutShape = { server: z.string().optional() };

export const logout: RunCommand = ({ options, terminal }) => {
  const { server: option } = readOptions(logoutShape, options);
  const path = sessionPath(process.env);
  const sessions = () => readSessions(path);
  const { server } = chooseTarget({ option, environment: process.env, sessions });
  const wasThere = removeSession(path, server);
  terminal.err(
    wasThere
      ? `The token for ${server} is forgotten; the server takes it until it expires or is revoked\n`
      : `There was no token for ${server}\n`,
  );
  return Promise.resolve(0);
};
