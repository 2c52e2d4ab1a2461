// The service of a configuration file: runs its streams, takes edits, is watched, ends in order.
import { once } from 'node:events';
import { createServer } from 'node:net';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { expectExit } from '../support/exit.ts';
import type { Replication } from '../support/replication.ts';
import { runForebay } from '../support/process.ts';
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
  'service',
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
    const idOf = (table: string): string => `${pair.source}-${table}`;
    const rows = (table: string): Promise<readonly string[]> => noteRows(pair, table);

    test('--until-caught-up: every enabled stream, one result, exit 0', async () => {
      file = await openServiceFile();
      using _file = file;
      file.write([entry('a'), entry('b'), entry('c', { enabled: false })]);
      await using running = file.start('--until-caught-up', '--json');
      const exit = await running.exit;
      expectExit(exit, 0);
      expect(exit.result?.status).toBe('completed');
      const told = exit.events.map(({ event, pipeline }) => `${pipeline} ${event}`);
      for (const table of ['a', 'b'])
        for (const event of ['started', 'phase', 'progress', 'stopped'])
          expect(told).toContain(`${idOf(table)} ${event}`);
      const streams = exit.result?.streams.map(({ stream, read, applied }) => [
        stream,
        read,
        applied,
      ]);
      expect(streams).toEqual([
        ['public.a', 1, 1],
        ['public.b', 1, 1],
      ]);
      expect(await rows('a')).toEqual(['1 one']);

      const listed = await runForebay(['positions', file.path, '-o', 'json']);
      expectExit(listed, 0);
      expect(listed.json).toMatchObject({
        positions: [
          { stream: idOf('a'), events: 1, epoch: 1, state: 'ok' },
          { stream: idOf('b'), events: 1, epoch: 1, state: 'ok' },
          { stream: idOf('c'), position: null, state: 'no checkpoint yet' },
        ],
      });
      const history = await runForebay(['positions', file.path, '--history', '-o', 'json']);
      expect(history.json).toMatchObject({ positions: [{ stream: idOf('a'), events: 1 }, {}, {}] });
    });

    test('a checkpoint that does not match its checksum halts its stream with 7', async () => {
      file = await openServiceFile();
      using _file = file;
      const id = `${pair.source}-damaged`;
      file.write([entry('c', { id })]);
      expectExit(await file.start('--until-caught-up').exit, 0);
      await server.query(
        pair.copy,
        `update _forebay.checkpoints set position = '0/1' where pipeline like '%damaged%'`,
      );
      const listed = await runForebay(['positions', file.path]);
      expectExit(listed, 7);
      expect(listed.stdout).toContain('checkpoint_corrupt');
      // Where it stood before is what one wants to know then.
      const earlier = await runForebay(['positions', file.path, '--history', '-o', 'json']);
      expectExit(earlier, 7);
      expect(earlier.json).toMatchObject({
        positions: [{ position: null }, { events: 0, epoch: 1 }],
      });
      const halted = await file.start('--until-caught-up', '--json').exit;
      expectExit(halted, 7);
      expect(halted.result?.error?.code).toBe('checkpoint_corrupt');
    });

    test('an edit starts, stops and changes streams; the others do not notice; a wrong one changes nothing', async () => {
      file = await openServiceFile();
      using _file = file;
      file.write([entry('a'), entry('b')]);
      await using running = file.start();
      const streaming = (health: { streams: readonly { state: string }[] }): boolean =>
        health.streams.every(({ state }) => state === 'streaming');
      const first = await file.until(streaming);
      expect(first.status).toBe('ok');

      // A change that comes while the others are edited.
      file.write([entry('a'), entry('b', { batch_size: 500 }), entry('c')]);
      const edited = await file.until(
        (health) =>
          health.configuration.hash !== first.configuration.hash &&
          health.streams.length === 3 &&
          streaming(health),
      );
      expect(edited.configuration.error).toBeNull();
      await pair.sql(`insert into c values (7, 'seven')`, `insert into a values (2, 'two')`);
      await eventually(async () => (await rows('c')).includes('7 seven'));
      await eventually(async () => (await rows('a')).includes('2 two'));
      const applied = running
        .stderr()
        .split('\n')
        .filter((line) => line.includes('configuration_applied'))
        .map((line) => JSON.parse(line) as Record<string, unknown>);
      expect(applied).toMatchObject([
        { started: [idOf('c')], changed: [idOf('b')], stopped: [], untouched: 1 },
      ]);

      file.writeText('version: "1"\nstreams: []\n');
      const refused = await file.until(({ configuration }) => configuration.error !== null);
      expect(refused.status).toBe('degraded');
      expect(refused.configuration.hash).toBe(edited.configuration.hash);
      expect(refused.configuration.error).toMatch(/forebay\.yaml:2:\d+ streams: /);
      expect(await file.metrics()).toMatch(
        /forebay_configuration_reloads_total\{result="rejected"\} 1/,
      );
      await pair.sql(`insert into b values (2, 'two')`);
      await eventually(async () => (await rows('b')).includes('2 two'));

      file.write([entry('a'), entry('c')]);
      const fewer = await file.until(({ configuration, streams }) => {
        return configuration.error === null && streams.length === 2;
      });
      expect(fewer.streams.map(({ id }) => id)).toEqual([idOf('a'), idOf('c')]);

      running.kill('SIGTERM');
      const exit = await running.exit;
      expectExit(exit, 0);
    });

    test('the second service on a file refuses', async () => {
      file = await openServiceFile();
      using _file = file;
      file.write([entry('a')]);
      await using first = file.start();
      await file.until(({ streams }) => streams[0]?.state === 'streaming');
      const second = await file.start().exit;
      expectExit(second, 3);
      expect(second.stderr).toContain('service_running');
      first.kill('SIGKILL');
      await first.exit;
      // The lock of a process that is gone holds nobody up.
      await using third = file.start('--until-caught-up');
      expectExit(await third.exit, 0);
    });

    test('a second service on a pipeline is refused while the first one runs', async () => {
      using mine = await openServiceFile();
      using other = await openServiceFile();
      mine.write([entry('a')]);
      await using first = mine.start();
      await mine.until(({ streams }) => streams[0]?.state === 'streaming');
      const retry = { max_attempts: 2, initial_delay: '10ms', max_delay: '10ms' };
      other.write([entry('a', { retry_policy: retry })]);
      await using second = other.start('--until-caught-up', '--json');
      const exit = await second.exit;
      expectExit(exit, 3);
      expect(exit.result?.error?.code).toBe('pipeline_in_use');
      await pair.sql(`insert into a values (3, 'three')`);
      await eventually(async () => (await rows('a')).includes('3 three'));
      expect((await mine.health()).status).toBe('ok');
      first.kill('SIGTERM');
      expectExit(await first.exit, 0);
    });

    test('a port in use is told before anything runs', async () => {
      file = await openServiceFile();
      using _file = file;
      const taken = createServer().listen(0);
      await once(taken, 'listening');
      const address = taken.address();
      const port = typeof address === 'object' ? address?.port : undefined;
      file.write([entry('a')], { service: { health_port: port } });
      await using running = file.start('--json');
      const exit = await running.exit;
      taken.close();
      expectExit(exit, 3);
      expect(exit.stderr).toContain('port_in_use');
      expect(exit.result).toMatchObject({ status: 'failed', error: { code: 'port_in_use' } });
      expect(exit.stderr).not.toMatch(/^\s+at /m);
    });

    test('a stream that cannot begin fails after its attempts; the others run', async () => {
      file = await openServiceFile();
      using _file = file;
      const retry = { max_attempts: 3, initial_delay: '10ms', max_delay: '20ms' };
      const lost = entry('b', { id: `${pair.source}-lost`, retry_policy: retry });
      const source = {
        ...(lost['source'] as object),
        connection_string: 'postgres://u@127.0.0.1:1',
      };
      file.write([entry('a'), { ...lost, source }]);
      await using running = file.start();
      const health = await file.until(
        ({ streams }) => streams[0]?.state === 'streaming' && streams[1]?.state === 'failed',
      );
      expect(health.status).toBe('degraded');
      expect(health.streams[1]?.last_error?.code).toBe('unreachable');
      const retries = running.stderr().match(/"event":"stream_retry"/g) ?? [];
      expect(retries).toHaveLength(2);
      running.kill('SIGTERM');
      await running.exit;
    });

    test('an edit of one of 200 streams touches that one only', async () => {
      file = await openServiceFile();
      using _file = file;
      const streams = Array.from({ length: 200 }, (_, i) => {
        const one = entry('a', { id: `${pair.source}-many-${i}` });
        const write_options = { schema: `many_${i}` };
        return { ...one, destination: { ...(one['destination'] as object), write_options } };
      });
      const more = { service: { max_concurrent_streams: 3 } };
      file.write(streams, more);
      await using running = file.start();
      const settled = await file.until(
        (health) => health.streams.filter(({ state }) => state === 'streaming').length === 3,
      );
      expect(settled.streams.filter(({ state }) => state === 'starting')).toHaveLength(197);
      const edit = streams.map((one, i) =>
        i === 1 || i === 150 ? { ...one, batch_size: 9 } : one,
      );
      file.write(edit, more);
      await file.until(({ configuration }) => configuration.hash !== settled.configuration.hash);
      const line = await eventually(() =>
        running
          .stderr()
          .split('\n')
          .find((text) => text.includes('configuration_applied')),
      );
      const applied = JSON.parse(line) as Record<string, unknown>;
      expect(applied).toMatchObject({ started: [], stopped: [], untouched: 198 });
      // The one that ran keeps its place.
      await file.until(({ streams: [, second] }) => second?.state === 'streaming');
      running.kill('SIGTERM');
      expectExit(await running.exit, 0);
    });
  },
  [17],
);
