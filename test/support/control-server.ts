// The server as a process, and its API.
import { createInterface } from 'node:readline';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';

import { expect } from 'vitest';

import { eventually } from './wait.ts';

export interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly headers: Headers;
}

export interface WorkerProcess extends AsyncDisposable {
  readonly stderr: () => string;
  /** Resolves when the process is gone, whatever ended it. */
  readonly ended: Promise<unknown>;
  kill(signal: NodeJS.Signals): Promise<void>;
}

/** Resolves when it takes work. */
export async function startWorkerProcess(
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<WorkerProcess> {
  const child = spawn(process.execPath, ['src/cli/main.ts', 'worker', '--json', ...args], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const exited = once(child, 'exit');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const { done } = await lines.next();
  if (done === true) throw new Error(`the worker ended:\n${stderr}`);
  const kill = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await exited;
  };
  return {
    stderr: () => stderr,
    ended: exited,
    kill,
    [Symbol.asyncDispose]: () => kill('SIGTERM'),
  };
}

export interface ServerProcess extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
  readonly stderr: () => string;
  /** Resolves when the process is gone, whatever ended it. */
  readonly ended: Promise<unknown>;
  /** As it was printed; once. */
  setupToken(): Promise<string>;
  /** Where gRPC answers. */
  grpcAddress(): Promise<string>;
  /** First admin; later calls carry the token. */
  setUp(): Promise<string>;
  token(): string;
  useToken(token: string): void;
  get(path: string): Promise<Answer>;
  post(path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<Answer>;
  patch(path: string, body: unknown, headers?: Readonly<Record<string, string>>): Promise<Answer>;
  delete(path: string, headers?: Readonly<Record<string, string>>): Promise<Answer>;
  /** Executes a pipeline and waits for its end. */
  execute(pipelineId: string, parameters?: unknown): Promise<Record<string, unknown>>;
  execution(id: string): Promise<Record<string, unknown>>;
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Resolves when it has ended, by whatever. */
  readonly exited: Promise<unknown>;
}

export async function startServerProcess(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  main = 'src/cli/main.ts',
): Promise<ServerProcess> {
  const child = spawn(
    process.execPath,
    [main, 'server', '--port', '0', '--grpc-port', '0', '--json', ...args],
    { env: { ...process.env, ...environment }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const seen: string[] = [];
  const printed = async (pattern: RegExp): Promise<string> => {
    for (;;) {
      const found = seen.map((line) => pattern.exec(line)?.[1]).find((text) => text !== undefined);
      if (found !== undefined) return found;
      const { value, done } = await lines.next();
      if (done === true) throw new Error(`the server ended:\n${stderr}`);
      seen.push(value);
    }
  };
  const url = await printed(/^Listening on (\S+)$/);
  let token = '';
  const ask = async (method: string, path: string, more: RequestInit = {}): Promise<Answer> => {
    const response = await fetch(`${url}${path}`, {
      method,
      ...more,
      headers: { authorization: `Bearer ${token}`, ...(more.headers as object | undefined) },
    }).catch((error: unknown) => {
      throw new Error(
        `no answer (exit ${child.exitCode}, ${child.signalCode}); the server said:\n${stderr}`,
        { cause: error },
      );
    });
    const text = await response.text();
    const body = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
    return { status: response.status, body, headers: response.headers };
  };
  const send =
    (method: string) =>
    (path: string, body?: unknown, headers: Readonly<Record<string, string>> = {}) =>
      ask(method, path, {
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        headers: {
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
      });
  const post = send('POST');
  const execution = async (id: string): Promise<Record<string, unknown>> =>
    (await ask('GET', `/api/v1/etl/executions/${id}`)).body;
  const exited = once(child, 'exit');
  const setupToken = (): Promise<string> => printed(/: (fb_\w+)$/);
  return {
    url,
    pid: child.pid ?? 0,
    stderr: () => stderr,
    ended: exited,
    setupToken,
    grpcAddress: () => printed(/^gRPC on (\S+)$/),
    setUp: async () => {
      const answer = await post('/api/v1/setup', {
        token: await setupToken(),
        organization: 'acme',
        email: 'admin@example.org',
        password: 'correct horse battery staple',
      });
      expect(answer).toMatchObject({ status: 201 });
      token = String(answer.body['token']);
      return token;
    },
    token: () => token,
    useToken: (given) => {
      token = given;
    },
    get: (path) => ask('GET', path),
    post,
    patch: send('PATCH'),
    delete: (path, headers = {}) => ask('DELETE', path, { headers }),
    execute: async (pipelineId, parameters) => {
      const started = await post('/api/v1/etl/trigger', {
        pipeline_id: pipelineId,
        ...(parameters === undefined ? {} : { parameters }),
      });
      expect(started).toMatchObject({ status: 200, body: { status: 'scheduled' } });
      const id = String(started.body['execution_id']);
      let last: Record<string, unknown> = {};
      await eventually(
        async () => {
          last = await execution(id);
          return ['completed', 'failed', 'cancelled'].includes(String(last['status']));
        },
        { timeoutMs: 60_000 },
      );
      return last;
    },
    execution,
    exited,
    kill: async (signal) => {
      child.kill(signal);
      await exited;
    },
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGTERM');
      await exited;
    },
  };
}
