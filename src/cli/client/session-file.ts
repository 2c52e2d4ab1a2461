/** What `forebay login` keeps: a token for each server, in a file that only its owner can read. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { ForebayError } from '../../core/errors.ts';

const sessionSchema = z.object({
  token: z.string().min(1),
  email: z.string().nullable(),
  expires_at: z.string().nullable(),
});
export type StoredSession = z.output<typeof sessionSchema>;

const fileSchema = z.object({
  v: z.literal(1),
  /** The server that is meant where none is named. */
  current: z.string().nullable(),
  servers: z.record(z.string(), sessionSchema),
});
export type SessionFile = z.output<typeof fileSchema>;

const NOTHING: SessionFile = { v: 1, current: null, servers: {} };

type Environment = Readonly<Record<string, string | undefined>>;

export function sessionPath(environment: Environment): string {
  const configured = environment['XDG_CONFIG_HOME'] ?? '';
  const folder = configured === '' ? join(homedir(), '.config') : configured;
  return join(folder, 'forebay', 'servers.json');
}

function unreadable(path: string, cause: unknown): ForebayError {
  return new ForebayError('usage', {
    message: `${path}, where logins are kept, cannot be read`,
    fix: 'Remove the file and log in again.',
    cause,
  });
}

export function readSessions(path: string): SessionFile {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return NOTHING;
    throw unreadable(path, error);
  }
  try {
    return fileSchema.parse(JSON.parse(text));
  } catch (error) {
    throw unreadable(path, error);
  }
}

/** All of it or nothing, and never readable by others, not even while it is written. */
function writeSessions(path: string, content: SessionFile): void {
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeFileSync(draft, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600, flag: 'wx' });
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw new ForebayError('usage', {
      message: `the login cannot be kept in ${path}`,
      why: error instanceof Error ? error.message : String(error),
      fix: 'Make the folder writable, or set XDG_CONFIG_HOME; FOREBAY_TOKEN works without a file.',
      cause: error,
    });
  }
}

export function storeSession(path: string, server: string, session: StoredSession): void {
  const before = readSessions(path);
  writeSessions(path, {
    v: 1,
    current: server,
    servers: { ...before.servers, [server]: session },
  });
}

/** Whether there was one. */
export function removeSession(path: string, server: string): boolean {
  const before = readSessions(path);
  const { [server]: removed, ...servers } = before.servers;
  if (removed === undefined) return false;
  const current = before.current === server ? null : before.current;
  writeSessions(path, { v: 1, current, servers });
  return true;
}
