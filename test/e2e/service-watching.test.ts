// The service of a configuration file: what is watched and told, dead letters, other beginnings.
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { expectExit } from '../support/exit.ts';
import type { Replication } from '../support/replication.ts';
import { runForebay, startForebay } from '../support/process.ts';
import {
  noteRows,
  openNotes,
  openServiceFile,
  type ServiceFile,
  type StreamEntry,
  tableEntry,
} from '../support/service.ts';
import { describeEachServer } from '../support/shared-servers.ts';
import { eventually } from '../support/wait.ts';

describeEachServer(
  'service, watched',
  (server) => {
    let pair: Replication;
    let file: ServiceFile;

    beforeAll(async () => {
      pair = await openNotes(server);
    });
    afterAll(async () => {
      await pair[Symbol.asyncDispose]();
    });

    const entry = (table: string, more: StreamEntry = {}): StreamEntry =>
      tableEntry(server, pair, table, more);
    const rows = (table: string): Promise<readonly string[]> => noteRows(pair, table);

    test('the board and the alerts name metrics that are there', async () => {
      file = await openServiceFile();
      using _file = file;
      file.write([entry('a')]);
      await using running = file.start();
      await file.until(({ streams }) => streams[0]?.lag_ms != null);
      await pair.sql(`insert into a values (50, 'fifty')`);
      await eventually(async () => (await file.metrics()).includes('last_commit_timestamp'));
      const exposed = new Set(
        [...(await file.metrics()).matchAll(/^(forebay_\w+)/gm)].map(([, name]) => name),
      );
      const folder = new URL('../../examples/monitoring/', import.meta.url);
      for (const example of ['grafana.json', 'alerts.yaml']) {
        const text = readFileSync(new URL(example, folder), 'utf8');
        const named = [...text.matchAll(/\bforebay_[a-z_]+/g)].map(([name]) => name);
        expect(named.length).toBeGreaterThan(5);
        for (const name of named) expect(exposed).toContain(name);
      }
      running.kill('SIGTERM');
      await running.exit;
    });

    test('a dead letter is replayed through the transformation as it is by then', async () => {
      file = await openServiceFile();
      using _file = file;
      await pair.sql(
        'create table priced (id int primary key, price text)',
        `insert into priced values (1, '1.50'), (2, 'free')`,
      );
      const transformation = (set: string): Record<string, unknown> => ({
        transformations: [
          {
            id: 'price',
            type: 'custom',
            specification: { mapping: { set: { price: set } } },
            error_handling: {
              on_error: 'dead_letter',
              dead_letter_destination: 'table:_forebay.dead_letters',
            },
          },
        ],
      });
      const streams = [entry('priced', { transformation_id: 'price' })];
      file.write(streams, transformation('cast(price as decimal)'));
      const first = await file.start('--until-caught-up', '--json').exit;
      expectExit(first, 5);
      expect(first.result?.streams).toMatchObject([{ read: 2, applied: 1, deadLettered: 1 }]);
      const listed = await runForebay(['dlq', 'list', file.path, '-o', 'json']);
      expect(listed.json).toMatchObject({
        deadLetters: [{ stream: 'public.priced', code: 'transform_cast' }],
      });
      const still = await runForebay(['dlq', 'replay', file.path, '--all']);
      expectExit(still, 5);
      file.write(
        streams,
        transformation(`case when price = 'free' then 0 else cast(price as decimal) end`),
      );
      const replayed = await runForebay(['dlq', 'replay', file.path, '--all', '-o', 'json']);
      expectExit(replayed, 0);
      expect(
        await pair.read('postgres', 'select id::text, price::text from priced order by id'),
      ).toEqual([
        ['1', '1.50'],
        ['2', '0'],
      ]);
    });

    test('SIGHUP takes what references hold by now; the log as text', async () => {
      file = await openServiceFile();
      using _file = file;
      const secret = `${file.path}.secret`;
      writeFileSync(secret, server.url(pair.source));
      const a = entry('a', { id: `${pair.source}-hup` });
      const source = { ...(a['source'] as object), connection_string: `\${file:${secret}}` };
      file.write([{ ...a, source }], { service: { log_format: 'text' } });
      await using running = file.start();
      await file.until(({ streams }) => streams[0]?.state === 'streaming');
      writeFileSync(secret, `${server.url(pair.source)}?application_name=renewed`);
      running.kill('SIGHUP');
      await eventually(() => running.stderr().includes('configuration_applied'));
      expect(running.stderr()).toMatch(
        /^\d{4}-\S+Z INFO  configuration_applied cause=signal hash=\w+ .*changed=\["t_\w+-hup"\]/m,
      );
      await file.until(({ streams }) => streams[0]?.state === 'streaming');
      running.kill('SIGTERM');
      expectExit(await running.exit, 0);
    });

    test('metrics and a span for each batch go to the collector that the environment names', async () => {
      file = await openServiceFile();
      using _file = file;
      file.write([entry('a', { id: `${pair.source}-traced` })]);
      const received = new Map<string, string>();
      const collector = createHttpServer((request, response) => {
        request.setEncoding('latin1');
        let body = '';
        request.on('data', (text: string) => (body += text));
        request.on('end', () => {
          received.set(request.url ?? '', (received.get(request.url ?? '') ?? '') + body);
          response.end();
        });
      });
      collector.listen(0, '127.0.0.1');
      await once(collector, 'listening');
      const address = collector.address();
      const port = typeof address === 'object' ? address?.port : undefined;
      const env = { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` };
      const running = startForebay(['run', file.path, '--until-caught-up'], { env });
      expectExit(await running.exit, 0);
      collector.close();
      expect(received.get('/v1/traces')).toContain('forebay.chunk');
      expect(received.get('/v1/metrics')).toContain('forebay_stream_events_total');
    });

    test('starts with changes only, into a table of another name', async () => {
      file = await openServiceFile();
      using _file = file;
      const from = entry('b', { id: `${pair.source}-only` });
      file.write([
        {
          ...from,
          source: { ...(from['source'] as object), change_stream_options: { mode: 'changes' } },
          destination: { ...(from['destination'] as object), collection_table: 'later.b_changes' },
        },
      ]);
      await using running = file.start();
      await file.until(({ streams }) => streams[0]?.state === 'streaming');
      await pair.sql(`insert into b values (9, 'nine')`);
      await eventually(async () => (await rows('later.b_changes')).includes('9 nine'));
      expect(await rows('later.b_changes')).toEqual(['9 nine']);
      running.kill('SIGTERM');
      await running.exit;
    });

    test('changes only: killed after the begin was recorded, the next run reads no table either', async () => {
      file = await openServiceFile();
      using _file = file;
      const from = entry('b', { id: `${pair.source}-unread` });
      file.write([
        {
          ...from,
          source: { ...(from['source'] as object), change_stream_options: { mode: 'changes' } },
          destination: { ...(from['destination'] as object), collection_table: 'later.b_unread' },
        },
      ]);
      const env = { FOREBAY_FAILPOINTS: 'snapshot.beforeFinish=kill@1' };
      const killed = await runForebay(['run', file.path, '--until-caught-up'], { env });
      expect(killed.signal).toBe('SIGKILL');
      await pair.sql(`insert into b values (10, 'ten')`);
      expectExit(await file.start('--until-caught-up').exit, 0);
      expect(await rows('later.b_unread')).toEqual(['10 ten']);
    });
  },
  [17],
);
