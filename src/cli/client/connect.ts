import process from 'node:process';
import { z } from 'zod';
import type { ExitCode } from '../../core/errors.ts';
import { ApiClient } from '../api-client.ts';
import { withInterruption } from '../interruption.ts';
import { chooseTarget } from './server-address.ts';
import { readSessions, sessionPath } from './session-file.ts';

export const serverShape = { server: z.string().optional() };

export function connect(server: string | undefined, signal: AbortSignal): ApiClient {
  const { env } = process;
  const sessions = () => readSessions(sessionPath(env));
  return new ApiClient(chooseTarget({ option: server, environment: env, sessions }), signal);
}

/** For commands that ask a server: the first signal ends what is under way, exit 130. */
export function withServer(
  { server }: { readonly server?: string | undefined },
  act: (api: ApiClient) => Promise<ExitCode>,
): Promise<ExitCode> {
  return withInterruption((signal) => act(connect(server, signal)));
}
