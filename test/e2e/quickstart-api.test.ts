// The blocks of docs/quickstart-api.md, run as they stand.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { describe, expect, test } from 'vitest';

import { createShop, shopSize } from '../../src/cli/demo/shop.ts';
import { parsePostgresUrl } from '../../src/connectors/postgres/config.ts';
import { PgConnection } from '../../src/connectors/postgres/connection.ts';
import {
  startServerProcess,
  startWorkerProcess,
  type WorkerProcess,
} from '../support/control-server.ts';
import { readDuckdb } from '../support/duckdb-read.ts';
import { sharedServer } from '../support/shared-servers.ts';
import { findTemporal, startTemporal } from '../support/temporal-server.ts';

const server = sharedServer(17);
const PAGE = new URL('../../docs/quickstart-api.md', import.meta.url).pathname;
const SIZE = shopSize(2000);

async function runScript(script: string, env: Readonly<Record<string, string>>): Promise<string> {
  const child = spawn('bash', ['-euo', 'pipefail', '-c', script], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [out, err] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  expect(code, `${out}\n${err}`).toBe(0);
  return out;
}

/** One machine; or PostgreSQL for the metadata, and a cluster with two workers, one of them killed in the middle. */
const SHAPES =
  findTemporal() === null ? (['one machine'] as const) : (['one machine', 'cluster'] as const);

describe.skipIf(server === null)('docs/quickstart-api.md', () => {
  if (server === null) return;
  test.each(SHAPES)('does what it says (%s)', { timeout: 240_000 }, async (shape) => {
    const source = await server.createDatabase();
    const url = new URL(server.url(source));
    const connection = await PgConnection.connect(parsePostgresUrl(server.url(source)), {
      applicationName: 'quickstart',
      signal: new AbortController().signal,
    });
    await createShop(connection, SIZE);
    await connection.close();
    const folder = mkdtempSync(join(tmpdir(), 'fb-quickstart-'));
    const warehouse = join(folder, 'warehouse.duckdb');
    const args = ['--data-dir', join(folder, 'data')];
    await using cluster = shape === 'cluster' ? await startTemporal(['platform-etl']) : null;
    const environment =
      cluster === null
        ? {}
        : {
            FOREBAY_DATABASE_URL: server.url(await server.createDatabase()),
            FOREBAY_SECRET_KEY: Buffer.alloc(32, 5).toString('base64'),
            FOREBAY_TEMPORAL_ADDRESS: cluster.address,
          };
    const workers: WorkerProcess[] = [];
    for (let count = 0; cluster !== null && count < 2; count += 1)
      workers.push(await startWorkerProcess(args, environment));
    await using running = await startServerProcess(args, environment);
    const blocks = [...readFileSync(PAGE, 'utf8').matchAll(/^```bash\n([\s\S]*?)^```$/gm)];
    expect(blocks.length).toBeGreaterThan(5);
    const script = blocks.map(([, block = '']) => block).join('\n');
    const dying =
      workers[0] === undefined ? null : delay(1500).then(() => workers[0]?.kill('SIGKILL'));
    const out = await runScript(script, {
      SERVER: running.url,
      SETUP_TOKEN: await running.setupToken(),
      SOURCE_HOST: url.hostname,
      SOURCE_PORT: url.port,
      SOURCE_DATABASE: source,
      SOURCE_USER: decodeURIComponent(url.username),
      SOURCE_PASSWORD: decodeURIComponent(url.password),
      WAREHOUSE_PATH: warehouse,
    });
    for (const text of [
      '"success":true',
      '"stream":"public.orders"',
      'event: log',
      '"quality_score":100',
    ])
      expect(out).toContain(text);
    expect(out).not.toContain('problem');
    expect(out).not.toContain(decodeURIComponent(url.password));
    const rows = await readDuckdb(warehouse, 'select cast(count(*) as varchar) from silver.orders');
    expect(rows).toEqual([[String(SIZE.orders)]]);
    await dying;
    for (const worker of workers) await worker[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });
});
