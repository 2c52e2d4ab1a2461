// The blocks of docs/quickstart-api.md, run as they stand.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { createShop, shopSize } from '../../src/cli/demo/shop.ts';
import { parsePostgresUrl } from '../../src/connectors/postgres/config.ts';
import { PgConnection } from '../../src/connectors/postgres/connection.ts';
import { startServerProcess } from '../support/control-server.ts';
import { readDuckdb } from '../support/duckdb-read.ts';
import { sharedServer } from '../support/shared-servers.ts';

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

describe.skipIf(server === null)('docs/quickstart-api.md', () => {
  if (server === null) return;
  test('does what it says', async () => {
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
    await using running = await startServerProcess(['--data-dir', join(folder, 'data')]);
    const blocks = [...readFileSync(PAGE, 'utf8').matchAll(/^```bash\n([\s\S]*?)^```$/gm)];
    expect(blocks.length).toBeGreaterThan(5);
    const script = blocks.map(([, block = '']) => block).join('\n');
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
    rmSync(folder, { recursive: true });
  });
});
