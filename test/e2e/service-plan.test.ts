// The plan of a configuration file: every enabled stream, where its transformation is done, and nothing touched.
import { afterAll, beforeAll, expect, test } from 'vitest';

import { expectExit } from '../support/exit.ts';
import { runForebay } from '../support/process.ts';
import { openReplication, type Replication } from '../support/replication.ts';
import { openServiceFile, type StreamEntry, tableEntry } from '../support/service.ts';
import { describeEachServer } from '../support/shared-servers.ts';

const custom = (id: string, specification: object): object => ({
  id,
  type: 'custom',
  specification,
});
const TRANSFORMATIONS = [
  custom('pushed', { filter: 'id > 1', mapping: { drop: ['secret'], rename: { name: 'title' } } }),
  custom('kept', { mask: { secret: { method: 'hash', salt: 'salt and pepper' } } }),
  { id: 'kazaam', type: 'kazaam', specification: { spec: [{ operation: 'pass' }] } },
];

describeEachServer('plan of a configuration file', (server) => {
  let pair: Replication;
  beforeAll(async () => {
    pair = await openReplication(server);
    await pair.sql(`create table people (id int primary key, name text, secret text);
        insert into people select i, 'name ' || i, 'secret' from generate_series(1, 5) i`);
  });
  afterAll(async () => {
    await pair[Symbol.asyncDispose]();
  });

  const entry = (id: string, more: StreamEntry = {}): StreamEntry => {
    const plain = tableEntry(server, pair, 'people');
    return {
      ...plain,
      id,
      destination: {
        ...(plain['destination'] as object),
        collection_table: `public.${id}`,
      },
      ...more,
    };
  };
  const transformed = (id: string, more: object = {}): StreamEntry =>
    entry(id, { transformation_id: id, ...more });

  test('says of each stream where its rows are transformed; the run does as it says', async () => {
    using file = await openServiceFile();
    const streams = [
      entry('plain'),
      transformed('pushed'),
      transformed('kept'),
      transformed('kazaam'),
      entry('off', { enabled: false }),
    ];
    file.write(streams, { transformations: TRANSFORMATIONS });
    const plan = await runForebay(['plan', file.path, '--json']);
    expectExit(plan, 0);
    const pipelines = (plan.json as { pipelines: { id: string; streams: object[] }[] }).pipelines;
    expect(pipelines.map(({ id, streams: [stream] }) => [id, stream])).toMatchObject([
      ['plain', { lane: 'relay', transformation: null, exists: false }],
      ['pushed', { lane: 'relay', transformation: { pushedDown: true, why: null } }],
      [
        'kept',
        {
          lane: 'objects',
          transformation: {
            pushedDown: false,
            why: 'secret is masked here, so that no key leaves it',
          },
        },
      ],
      ['kazaam', { lane: 'objects', transformation: { pushedDown: false } }],
    ]);
    const text = await runForebay(['plan', file.path, '--detailed-exitcode']);
    expectExit(text, 2);
    expect(text.stdout).toContain("transformed in the source's query, changes here");
    expect(text.stdout).toContain('transformed here (a Kazaam specification runs here)');
    expect(text.stdout).not.toContain('stream off');
    expect(
      await pair.read(
        'source',
        'select count(*)::text from pg_replication_slots where database = current_database()',
      ),
    ).toEqual([['0']]);
    expect(
      await pair.read(
        'postgres',
        `select count(*)::text from pg_namespace where nspname = '_forebay'`,
      ),
    ).toEqual([['0']]);
    await using running = file.start('--until-caught-up', '--json');
    const exit = await running.exit;
    expectExit(exit, 0);
    expect(
      exit.result?.streams.map(({ read, applied, filtered }) => [read, applied, filtered]),
    ).toEqual([
      [5, 5, 0],
      [5, 4, 1],
      [5, 5, 0],
      [5, 5, 0],
    ]);
    expect(await pair.read('postgres', 'select id::text, title from pushed order by id')).toEqual(
      [2, 3, 4, 5].map((id) => [String(id), `name ${id}`]),
    );
    const again = await runForebay(['plan', file.path, '--json', '--detailed-exitcode']);
    expectExit(again, 0);
  });

  test('a stream that cannot be planned does not hide the others', async () => {
    using file = await openServiceFile();
    const gone = entry('gone');
    const source = { ...(gone['source'] as object), collection_table: 'public.nowhere' };
    file.write([{ ...gone, source }, entry('plain')]);
    const plan = await runForebay(['plan', file.path, '-o', 'json']);
    expect(plan.code).not.toBe(0);
    expect(plan.json).toMatchObject({
      pipelines: [
        { id: 'gone', error: { code: expect.any(String) } },
        { id: 'plain', error: null },
      ],
    });
  });

  test('options of a pipeline, a lone system, a broken file: exit 2', async () => {
    using file = await openServiceFile();
    file.write([entry('plain')]);
    const options = await runForebay(['plan', file.path, '--load', 'append']);
    expectExit(options, 2);
    const lone = await runForebay(['plan', server.url(pair.source)]);
    expectExit(lone, 2);
    expect(lone.stderr).toContain('a destination is missing');
    file.writeText('streams: [');
    expectExit(await runForebay(['plan', file.path]), 2);
  });
});
