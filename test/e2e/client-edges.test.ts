// What a client does where no server is, where something else answers, and where an answer does not arrive.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, test } from 'vitest';

import { answeringServer } from '../support/answering-server.ts';
import { startServerProcess } from '../support/control-server.ts';
import { expectExit } from '../support/exit.ts';
import { type ForebayExit, runForebay } from '../support/process.ts';

const folder = mkdtempSync(join(tmpdir(), 'fb-edges-'));
afterAll(() => rmSync(folder, { recursive: true }));

const TOKEN = 'fb_canary0123456789';
const PIPELINE_ID = '01980c8e-5f6a-7c1d-8a53-0d4f1c2b3a49';
const EXECUTION_ID = '01980c8e-6b7c-7e2f-9b64-1e5a2d3c4b5a';
const NOW = '2026-03-01T00:00:00.000Z';

function forebay(server: string | undefined, args: readonly string[]): Promise<ForebayExit> {
  const env = {
    XDG_CONFIG_HOME: join(folder, 'config'),
    FOREBAY_SERVER: server,
    FOREBAY_TOKEN: server === undefined ? undefined : TOKEN,
  };
  return runForebay(args, { env });
}

const JSON_TYPE = { 'content-type': 'application/json' };
const problem = (code: string): string =>
  JSON.stringify({
    type: '/docs',
    title: 'Error',
    status: 400,
    detail: 'It cannot be',
    instance: '/',
    code,
    fix: 'Do otherwise.',
    retryable: false,
    trace_id: 'trace-1',
    errors: [],
  });

const PIPELINE = {
  id: PIPELINE_ID,
  name: 'orders',
  kind: 'etl',
  streams: ['a'],
  benthos_configuration_ids: [],
  source_connection_id: PIPELINE_ID,
  destination_connection_id: PIPELINE_ID,
  version: 1,
  schedule_type: 'manual',
  cron_expression: null,
  interval_seconds: null,
  time_zone: 'UTC',
  overlap_policy: 'skip',
  catchup_window_seconds: 600,
  is_active: true,
  last_run_at: null,
  last_run_status: null,
  next_run_at: null,
  workflow_id: PIPELINE_ID,
  created_at: NOW,
  updated_at: NOW,
};
const page = (...pipelines: readonly object[]): string =>
  JSON.stringify({ pipelines, next_cursor: null });

describe('no server', () => {
  test('nothing listens: exit 3, and how to start one', async () => {
    const { url, ...gone } = await answeringServer(() => {});
    await gone[Symbol.asyncDispose]();
    const exit = await forebay(url, ['status']);
    expectExit(exit, 3);
    expect(exit.stderr).toContain(`no Forebay server answers at ${url}`);
  });

  test.each(['ftp://a', 'nonsense', 'http://u:p@host', 'http://host/?x=1'])(
    '%s is no address',
    async (server) => {
      const exit = await forebay(undefined, ['status', '--server', server]);
      expectExit(exit, 2);
      expect(exit.stderr).not.toContain('u:p@');
    },
  );

  test('nobody can be asked for a password', async () => {
    const exit = await forebay(undefined, ['login', 'http://127.0.0.1:1']);
    expectExit(exit, 2);
    expect(exit.stderr).toContain('--token-stdin');
  });
});

describe('something else answers', () => {
  test.each([
    ['a page', 200, '<html>hello</html>', 1, 'answer_unreadable'],
    ['other JSON', 200, '{"pipelines":[{"id":1}],"next_cursor":null}', 1, 'answer_unreadable'],
    ['a page that says no', 404, '<html>nginx</html>', 1, 'answer_unreadable'],
    ['a code of a later release', 422, problem('brand_new_code'), 2, 'request_unprocessable'],
    ['a known code', 403, problem('forbidden'), 4, 'forbidden'],
  ] as const)('%s', async (...[, status, body, code, name]) => {
    await using server = await answeringServer((_, response) => {
      response.writeHead(status, JSON_TYPE).end(body);
    });
    const exit = await forebay(server.url, ['pipelines', 'list']);
    expectExit(exit, code);
    expect(exit.stderr).toContain(`error ${name}`);
    expect(exit.stdout + exit.stderr).not.toContain(TOKEN);
  });

  test('a redirect is not followed, and the token goes nowhere else', async () => {
    await using other = await answeringServer((_, response) => response.end(page()));
    await using server = await answeringServer((_, response) => {
      response.writeHead(307, { location: other.url }).end();
    });
    expectExit(await forebay(server.url, ['pipelines', 'list']), 1);
    expect(other.requests).toEqual([]);
  });

  test('a list that never ends', async () => {
    await using server = await answeringServer((_, response) => {
      response
        .writeHead(200, JSON_TYPE)
        .end(JSON.stringify({ pipelines: [], next_cursor: 'again' }));
    });
    const exit = await forebay(server.url, ['pipelines', 'list']);
    expectExit(exit, 1);
    expect(exit.stderr).toContain('again and again');
  });

  test('names do not move the cursor of a terminal', async () => {
    await using server = await answeringServer((_, response) => {
      const name = 'a\u001B[2Jb\u202Ec';
      response.writeHead(200, JSON_TYPE).end(page({ ...PIPELINE, name }));
    });
    const exit = await forebay(server.url, ['pipelines', 'list']);
    expectExit(exit, 0);
    expect(exit.stdout).toContain('a\\u001b[2Jb\\u202ec');
    expect(exit.stdout).not.toContain('\u001B');
    expect(exit.stdout).not.toContain('\u202E');
  });
});

describe('an answer that does not arrive', () => {
  test('what is started is sent again under the same key, so that it is started once', async () => {
    await using server = await answeringServer((request, response, count) => {
      if (request.method === 'GET') response.writeHead(200, JSON_TYPE).end(page(PIPELINE));
      else if (count === 2) response.destroy();
      else {
        const body = { execution_id: EXECUTION_ID, status: 'scheduled', estimated_start: NOW };
        response.writeHead(200, JSON_TYPE).end(JSON.stringify(body));
      }
    });
    const exit = await forebay(server.url, ['trigger', 'orders']);
    expectExit(exit, 0);
    const keys = server.requests
      .filter(({ method }) => method === 'POST')
      .map(({ headers }) => headers['idempotency-key']);
    expect(keys).toEqual([expect.any(String), keys[0]]);
  });

  test('a deletion is not sent again', async () => {
    await using server = await answeringServer((request, response) => {
      if (request.method === 'DELETE') response.destroy();
      else response.writeHead(200, JSON_TYPE).end(page(PIPELINE));
    });
    expectExit(await forebay(server.url, ['pipelines', 'delete', 'orders', '--yes']), 75);
    expect(server.requests.map(({ method }) => method)).toEqual(['GET', 'DELETE']);
  });

  test('it waits as long as a busy server says', async () => {
    await using server = await answeringServer((_, response, count) => {
      if (count > 1) response.writeHead(200, JSON_TYPE).end(page());
      else {
        response.writeHead(429, { ...JSON_TYPE, 'retry-after': '1' });
        response.end(problem('too_many_requests'));
      }
    });
    const exit = await forebay(server.url, ['pipelines', 'list']);
    expectExit(exit, 0);
    expect(exit.durationMs).toBeGreaterThan(1000);
  });

  test('a log that is cut goes on after the last line that came', async () => {
    const line = (id: number): string => {
      const data = { timestamp: NOW, level: 'info', layer: null, message: `line ${id}` };
      return `id: ${id}\nevent: log\ndata: ${JSON.stringify(data)}\n\n`;
    };
    const layer = { status: 'pending', records: null, duration_ms: null };
    const execution = {
      id: EXECUTION_ID,
      pipeline_id: PIPELINE_ID,
      pipeline_name: 'orders',
      error: null,
      status: 'running',
      trigger: 'manual',
      total_duration_ms: null,
      size_bytes: null,
      records_processed: null,
      records_failed: null,
      scheduled_at: NOW,
      started_at: NOW,
      completed_at: null,
      workflow: 'x',
      workflow_id: 'x',
      run_id: null,
      parameters: {},
      output: null,
      retry: null,
      layers: {
        bronze: { ...layer, size_mb: null },
        silver: { ...layer, records_filtered: null, records_deduplicated: null },
        gold: { ...layer, tables_updated: [] },
      },
    };
    const feeds: (string | undefined)[] = [];
    await using server = await answeringServer((request, response) => {
      if (request.url?.endsWith('/logs') !== true) {
        response.writeHead(200, JSON_TYPE).end(JSON.stringify(execution));
        return;
      }
      feeds.push(request.headers['last-event-id']?.toString());
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      if (feeds.length === 1) {
        response.write(line(1) + line(2) + line(3).slice(0, 20), () => response.destroy());
      } else response.end(`${line(3)}event: end\ndata: {}\n\n`);
    });
    const exit = await forebay(server.url, ['logs', EXECUTION_ID, '-f', '-o', 'json']);
    expectExit(exit, 0);
    const lines = exit.stdout.trimEnd().split('\n');
    expect(lines.map((text) => (JSON.parse(text) as { message: string }).message)).toEqual([
      'line 1',
      'line 2',
      'line 3',
    ]);
    expect(feeds).toEqual([undefined, '2']);
  });
});

describe('logins', () => {
  test('a token that was kept goes to the server that gave it and to no other', async () => {
    await using first = await answeringServer((_, response) => {
      response
        .writeHead(200, JSON_TYPE)
        .end(JSON.stringify({ organizations: [], next_cursor: null }));
    });
    await using second = await answeringServer((_, response) => {
      response.writeHead(200, JSON_TYPE).end(page());
    });
    const env = {
      XDG_CONFIG_HOME: join(folder, 'kept'),
      FOREBAY_TOKEN: undefined,
      FOREBAY_SERVER: undefined,
    };
    const login = ['login', first.url, '--token-stdin'];
    expectExit(await runForebay(login, { env, stdin: `${TOKEN}\n` }), 0);
    expectExit(await runForebay(['pipelines', 'list', '--server', second.url], { env }), 0);
    const sent = [first, second].map(({ requests }) => requests[0]?.headers.authorization);
    expect(sent).toEqual([`Bearer ${TOKEN}`, undefined]);
  });

  test('a token that the server refuses is not kept', async () => {
    await using server = await answeringServer((_, response) => {
      response.writeHead(401, JSON_TYPE).end(problem('unauthenticated'));
    });
    const env = { XDG_CONFIG_HOME: join(folder, 'refused') };
    const login = ['login', server.url, '--token-stdin'];
    expectExit(await runForebay(login, { env, stdin: TOKEN }), 4);
    expect(() => readFileSync(join(folder, 'refused', 'forebay', 'servers.json'))).toThrow(
      'ENOENT',
    );
  });

  test('a file that is damaged is named', async () => {
    const config = join(folder, 'damaged');
    mkdirSync(join(config, 'forebay'), { recursive: true });
    writeFileSync(join(config, 'forebay', 'servers.json'), '{');
    const env = { XDG_CONFIG_HOME: config, FOREBAY_TOKEN: undefined, FOREBAY_SERVER: undefined };
    const exit = await runForebay(['status'], { env });
    expectExit(exit, 2);
    expect(exit.stderr).toContain('servers.json');
  });
});

describe('setup-token', () => {
  test('the new one lets the first admin in, and there is none after that', async () => {
    const dataDir = join(folder, 'data');
    await using server = await startServerProcess(['--data-dir', dataDir]);
    const made = await runForebay(['setup-token', '--data-dir', dataDir]);
    expectExit(made, 0);
    const answer = await server.post('/api/v1/setup', {
      token: made.stdout.trim(),
      organization: 'acme',
      email: 'ada@example.org',
      password: 'correct horse battery staple',
    });
    expect(answer.status).toBe(201);
    expectExit(await runForebay(['setup-token', '--data-dir', dataDir]), 2);
  });

  test('a folder that no server used is a mistake', async () => {
    const exit = await runForebay(['setup-token', '--data-dir', join(folder, 'nowhere')]);
    expectExit(exit, 2);
  });
});
