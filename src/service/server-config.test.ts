import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { readServerConfig, type ServerConfig } from './server-config.ts';
import { Secret } from '../core/secret.ts';
import { SERVER_VARIABLES } from './server-environment.ts';

const folder = mkdtempSync(join(tmpdir(), 'fb-server-config-'));
afterAll(() => rmSync(folder, { recursive: true }));

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const SPECIFIED = `
etl:
  temporal:
    namespace: "platform-etl"
    task_queue: "etl-workers"
  workers:
    max_concurrent_activities: 10
    activity_timeout: 30m
  retry:
    max_attempts: 5
    initial_interval: 1s
    max_interval: 1m
    backoff_coefficient: 2
`;
const DEFAULTS: ServerConfig = {
  temporal: {
    address: null,
    namespace: 'platform-etl',
    taskQueue: 'etl-workers',
    tls: null,
    apiKey: null,
  },
  workers: { maxActivities: 10, activityTimeoutMs: 1_800_000 },
  retry: { maxAttempts: 5, initialDelayMs: 1000, maxDelayMs: 60_000, multiplier: 2 },
  egress: null,
  fileRoots: null,
  events: [],
};

let files = 0;
function written(text: string): string {
  files += 1;
  const path = join(folder, `${files}.yaml`);
  writeFileSync(path, text);
  return path;
}

function read(text: string, environment: Readonly<Record<string, string>> = {}): ServerConfig {
  const result = readServerConfig({ path: written(text), isNamed: true }, environment);
  if (result.kind === 'refused') throw new Error(result.problems.join('\n'));
  return result.config;
}

function problems(
  text: string,
  environment: Readonly<Record<string, string>> = {},
): readonly string[] {
  const path = written(text);
  const result = readServerConfig({ path, isNamed: true }, environment);
  if (result.kind === 'read') throw new Error('it was taken');
  return result.problems.map((problem) => problem.replace(path, 'file'));
}

describe('the file of the server', () => {
  it('has the specified values as its defaults', () => {
    expect(read(SPECIFIED)).toEqual(DEFAULTS);
    expect(read('')).toEqual(DEFAULTS);
    expect(read('# nothing yet\n')).toEqual(DEFAULTS);
  });

  it('may be left out where nobody named it', () => {
    const place = { path: join(folder, 'none.yaml'), isNamed: false };
    expect(readServerConfig(place, {})).toEqual({
      kind: 'read',
      config: DEFAULTS,
      passedOver: false,
    });
    expect(readServerConfig({ ...place, isNamed: true }, {})).toMatchObject({ kind: 'refused' });
  });

  it('is not taken for a file of forebay run', () => {
    const path = written('version: "1"\nstreams: []\n');
    expect(readServerConfig({ path, isNamed: false }, {})).toMatchObject({ passedOver: true });
    expect(readServerConfig({ path, isNamed: true }, {})).toMatchObject({
      problems: [expect.stringContaining('forebay run')],
    });
  });

  it('tells each mistake with its place and what was probably meant', () => {
    const text =
      'etl:\n  workers:\n    max_concurrent_activites: 3\n    activity_timeout: 30\nevents:\n  - type: webhok\n';
    expect(problems(text)).toEqual([
      expect.stringMatching(/^file:4:23 etl\.workers\.activity_timeout: must be a text/),
      expect.stringMatching(
        /^file:3:5 .*max_concurrent_activites.*Did you mean max_concurrent_activities\?/,
      ),
      expect.stringMatching(/^file:6:11 events\[0\]\.type: .*webhook/),
    ]);
  });

  it('names the fields that a publisher may have', () => {
    const text = `events:\n  - type: webhook\n    uri: https://a.example\n    secret: ${SECRET}\n`;
    expect(problems(text).join('\n')).toMatch(/file:3:5 .*Did you mean url\?/);
    expect(problems(text).join('\n')).toContain('docs/server.md');
  });

  it('refuses what contradicts itself', () => {
    const twice = `events:\n  - {type: webhook, url: "https://a.example", secret: ${SECRET}}\n`;
    const second = twice.split('\n')[1] ?? '';
    expect(problems(`${twice}${second}`).join()).toContain('another publisher is called webhook');
    expect(problems('etl: {retry: {initial_interval: 2m}}').join()).toContain('initial_interval');
    expect(problems('events: [{type: nats, url: "nats://a.example", user: me}]').join()).toContain(
      'go together',
    );
  });

  it.each(['http://[', 'https://a.example:99999/', 'ftp://a.example', 'a.example'])(
    'refuses %s as an address',
    (url) => {
      const text = `events: [{type: webhook, url: "${url}", secret: ${SECRET}}]`;
      expect(problems(text)[0]).toMatch(/^file:1:31 events\[0\]\.url: /);
    },
  );

  it('follows references, and keeps what they give to itself', () => {
    writeFileSync(join(folder, 'signing'), `${SECRET}\n`);
    const config = read(
      'events:\n  - {type: webhook, url: "https://${env:RECEIVER}/in", secret: "${file:signing}"}\n',
      { RECEIVER: 'a.example' },
    );
    expect(config.events).toMatchObject([{ id: 'webhook', url: 'https://a.example/in' }]);
    const [webhook] = config.events;
    expect(webhook?.type === 'webhook' ? webhook.secrets[0]?.reveal() : null).toBe(SECRET);
    expect(`${inspect(config, { depth: 9 })}${JSON.stringify(config)}`).not.toContain(SECRET);
  });

  it('prints no secret that is written wrongly', () => {
    const text = (secret: string): string =>
      `events: [{type: webhook, url: "https://a.example", secret: ${secret}}]`;
    expect(problems(text('hunter2')).join()).not.toContain('hunter2');
    expect(problems(text('4711')).join()).not.toContain('4711');
    expect(problems(text('"${env:NOWHERE}"')).join()).toContain('NOWHERE is not set');
  });
});

describe('the environment', () => {
  const values: Readonly<Record<string, string>> = {
    FOREBAY_TEMPORAL_ADDRESS: 'temporal:7233',
    FOREBAY_TEMPORAL_NAMESPACE: 'n',
    FOREBAY_TEMPORAL_TASK_QUEUE: 'q',
    FOREBAY_TEMPORAL_TLS: '{"ca": "${env:CA}", "server_name": "cluster"}',
    FOREBAY_TEMPORAL_API_KEY: 'key of the cluster',
    FOREBAY_WORKERS_MAX_CONCURRENT_ACTIVITIES: '3',
    FOREBAY_WORKERS_ACTIVITY_TIMEOUT: '5m',
    FOREBAY_RETRY_MAX_ATTEMPTS: '7',
    FOREBAY_RETRY_INITIAL_INTERVAL: '2s',
    FOREBAY_RETRY_MAX_INTERVAL: '3s',
    FOREBAY_RETRY_BACKOFF_COEFFICIENT: '1.5',
    FOREBAY_EGRESS: 'public',
    FOREBAY_FILE_ROOTS: '["/srv/warehouses"]',
    FOREBAY_EVENTS: '[{"type": "openlineage", "url": "https://m.example", "token": "${env:T}"}]',
  };

  it('has a variable for every key, which goes before the file', () => {
    expect(Object.keys(values).sort()).toEqual(SERVER_VARIABLES.map(({ name }) => name).sort());
    const given = { ...values, T: 'token of the receiver', CA: 'an authority' };
    const { events, ...config } = read(SPECIFIED, given);
    expect(config).toEqual({
      temporal: {
        address: 'temporal:7233',
        namespace: 'n',
        taskQueue: 'q',
        tls: { ca: 'an authority', client: null, serverName: 'cluster' },
        apiKey: new Secret('key of the cluster'),
      },
      workers: { maxActivities: 3, activityTimeoutMs: 300_000 },
      retry: { maxAttempts: 7, initialDelayMs: 2000, maxDelayMs: 3000, multiplier: 1.5 },
      egress: 'public',
      fileRoots: ['/srv/warehouses'],
    });
    expect(events).toMatchObject([{ type: 'openlineage', namespace: 'forebay' }]);
  });

  it('is described', () => {
    const page = readFileSync('docs/server.md', 'utf8');
    for (const { name, path } of SERVER_VARIABLES) {
      expect(page).toContain(`\`${name}\``);
      expect(page).toContain(`\`${path.join('.')}\``);
    }
  });

  it.each([
    ['FOREBAY_WORKERS_MAX_CONCURRENT_ACTIVITIES', 'many'],
    ['FOREBAY_WORKERS_ACTIVITY_TIMEOUT', '30'],
    ['FOREBAY_EGRESS', 'opne'],
    ['FOREBAY_FILE_ROOTS', '["relative"]'],
    ['FOREBAY_EVENTS', '[{'],
    ['FOREBAY_EVENTS', '[{"type": "webhook"}]'],
  ])('%s=%s is told by the name of the variable', (name, value) => {
    expect(problems(SPECIFIED, { [name]: value })[0]).toMatch(new RegExp(`^${name}: `));
  });
});
