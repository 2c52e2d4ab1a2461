// Connections, pipelines, schedules and Benthos configurations: names, versions, what needs what, whose they are.
import { expect, it } from 'vitest';
import {
  createBenthosConfiguration,
  deleteBenthosConfiguration,
  listPipelineBenthosConfigurations,
  setPipelineBenthosConfigurations,
} from '../../src/metadata/benthos-configurations.ts';
import {
  connectionSecrets,
  deleteConnection,
  findConnection,
  listConnections,
  recordConnectionTest,
  updateConnection,
} from '../../src/metadata/connections.ts';
import { listPipelineStreams } from '../../src/metadata/pipeline-streams.ts';
import {
  createPipeline,
  deletePipeline,
  findPipeline,
  updatePipeline,
} from '../../src/metadata/pipelines.ts';
import {
  createSchedule,
  findPipelineSchedule,
  type ScheduleContent,
  updateSchedule,
} from '../../src/metadata/schedules.ts';
import { aConnection, aPipeline, freshName } from '../support/metadata-builders.ts';
import { describeEachStore, testKeys } from '../support/metadata-stores.ts';

const manual: ScheduleContent = {
  schedule_type: 'manual',
  cron_expression: null,
  interval_seconds: null,
  time_zone: 'UTC',
  overlap_policy: 'skip',
  catchup_window_seconds: 600,
  is_paused: 0,
  next_fire_at: null,
};

describeEachStore('configuration', (of) => {
  it('keeps names apart inside an organisation, and not between two', async () => {
    const { db, organization } = of();
    const [one, other] = [await organization(), await organization()];
    await aConnection(db, one, { name: 'warehouse' });
    await aConnection(db, other, { name: 'warehouse' });
    await expect(aConnection(db, one, { name: 'warehouse' })).rejects.toMatchObject({
      code: 'already_exists',
    });
  });

  it("shows nobody another organisation's rows", async () => {
    const { db, organization } = of();
    const [one, other] = [await organization(), await organization()];
    const { id, version } = await aConnection(db, one);
    expect(await findConnection(db, other, id)).toBeNull();
    expect(await listConnections(db, other, { after: null, limit: 10 })).toEqual([]);
    const notFound = { code: 'not_found' };
    const update = { id, version, changes: { name: 'taken over' } };
    await expect(updateConnection(db, other, update, testKeys)).rejects.toMatchObject(notFound);
    await expect(deleteConnection(db, other, { id, version })).rejects.toMatchObject(notFound);
    await expect(connectionSecrets(db, other, id, testKeys)).rejects.toMatchObject(notFound);
    const test = { id, status: 'active', result: '{}', at: '' } as const;
    await expect(recordConnectionTest(db, other, test)).rejects.toMatchObject(notFound);
  });

  it('is changed by who has read what is there now', async () => {
    const { db, organization } = of();
    const scope = await organization();
    const { id } = await aConnection(db, scope);
    const rename = (version: number, name: string) =>
      updateConnection(db, scope, { id, version, changes: { name } }, testKeys);
    const both = await Promise.allSettled([rename(1, freshName('a')), rename(1, freshName('b'))]);
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    await expect(rename(1, 'late')).rejects.toMatchObject({ code: 'version_stale' });
    expect(await rename(2, freshName('c'))).toMatchObject({ version: 3 });
    await expect(deleteConnection(db, scope, { id, version: 2 })).rejects.toMatchObject({
      code: 'version_stale',
    });
    await deleteConnection(db, scope, { id, version: 3 });
    expect(await findConnection(db, scope, id)).toBeNull();
  });

  it('is to be tested anew when its configuration changed, not when its name did', async () => {
    const { db, organization } = of();
    const scope = await organization();
    const { id } = await aConnection(db, scope);
    const at = new Date().toISOString();
    await recordConnectionTest(db, scope, { id, status: 'active', result: '{}', at });
    const named = { id, version: 1, changes: { name: freshName('x') } };
    expect(await updateConnection(db, scope, named, testKeys)).toMatchObject({
      status: 'active',
      last_test_at: at,
    });
    const moved = { id, version: 2, changes: { config: '{"host":"other"}' } };
    expect(await updateConnection(db, scope, moved, testKeys)).toMatchObject({
      status: 'pending',
    });
  });

  it('pages go on where the one before ended, whatever comes meanwhile', async () => {
    const { db, organization } = of();
    const scope = await organization();
    const made = [];
    for (let count = 0; count < 7; count += 1) made.push((await aConnection(db, scope)).id);
    const seen: string[] = [];
    let after = null;
    for (let turn = 0; turn < 4; turn += 1) {
      const page = await listConnections(db, scope, { after, limit: 2 });
      seen.push(...page.map(({ id }) => id));
      const last = page.at(-1);
      if (last !== undefined) after = { sort: last.created_at, id: last.id };
      await aConnection(db, scope);
    }
    expect(seen.sort()).toEqual(made.sort());
  });

  it('a connection stays while a pipeline names it', async () => {
    const { db, organization } = of();
    const scope = await organization();
    const { id, version } = await aConnection(db, scope);
    const pipeline = await aPipeline(db, scope, { source_connection_id: id });
    const remove = () => deleteConnection(db, scope, { id, version });
    await expect(remove()).rejects.toMatchObject({ code: 'in_use' });
    await deletePipeline(db, scope, pipeline);
    await remove();
  });

  it('of a pipeline that is made and a connection that is removed at once, one is refused', async () => {
    const { db, organization } = of();
    const scope = await organization();
    for (let turn = 0; turn < 10; turn += 1) {
      const connection = await aConnection(db, scope);
      const results = await Promise.allSettled([
        aPipeline(db, scope, { source_connection_id: connection.id }),
        deleteConnection(db, scope, connection),
      ]);
      expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    }
  });

  it("a pipeline names connections of its organisation, and keeps its streams' order", async () => {
    const { db, organization } = of();
    const [scope, other] = [await organization(), await organization()];
    const foreign = await aConnection(db, other);
    await expect(aPipeline(db, scope, { source_connection_id: foreign.id })).rejects.toMatchObject({
      code: 'request_unprocessable',
    });
    const streams = ['z', 'a', 'm'].map((stream) => ({ stream, config: '{}' }));
    const { id } = await aPipeline(db, scope, { streams });
    const names = async () =>
      (await listPipelineStreams(db, scope, id)).map(({ stream }) => stream);
    expect(await names()).toEqual(['z', 'a', 'm']);
    const changes = { streams: streams.slice(1).reverse() };
    await updatePipeline(db, scope, { id, version: 1, changes });
    expect(await names()).toEqual(['m', 'a']);
    await updatePipeline(db, scope, { id, version: 2, changes: { is_active: 0 } });
    expect(await names()).toEqual(['m', 'a']);
    expect(await findPipeline(db, scope, id)).toMatchObject({ is_active: 0, version: 3 });
  });

  it('a pipeline that could not be made whole is not made', async () => {
    const { db, organization } = of();
    const scope = await organization();
    const { id } = await aConnection(db, scope);
    const twice = [0, 1].map(() => ({ stream: 'same', config: '{}' }));
    const before = await db.selectFrom('pipelines').select('id').execute();
    await expect(
      createPipeline(db, scope, {
        name: freshName('pipeline'),
        source_connection_id: id,
        destination_connection_id: id,
        kind: 'etl',
        config: '{}',
        is_active: 1,
        streams: twice,
      }),
    ).rejects.toThrow();
    expect(await db.selectFrom('pipelines').select('id').execute()).toHaveLength(before.length);
  });

  it("nothing is hung on another organisation's pipeline", async () => {
    const { db, organization } = of();
    const [scope, other] = [await organization(), await organization()];
    const { id } = await aPipeline(db, other);
    const refused = { code: 'not_found' };
    await expect(createSchedule(db, scope, { ...manual, pipeline_id: id })).rejects.toMatchObject(
      refused,
    );
    await expect(
      setPipelineBenthosConfigurations(db, scope, { pipelineId: id, configurationIds: [] }),
    ).rejects.toMatchObject(refused);
  });

  it('a schedule belongs to one pipeline, and goes with it', async () => {
    const { db, organization } = of();
    const scope = await organization();
    const pipeline = await aPipeline(db, scope);
    const schedule = await createSchedule(db, scope, { ...manual, pipeline_id: pipeline.id });
    await expect(
      createSchedule(db, scope, { ...manual, pipeline_id: pipeline.id }),
    ).rejects.toMatchObject({ code: 'already_exists' });
    const changes = { schedule_type: 'interval', interval_seconds: 60 } as const;
    await updateSchedule(db, scope, { id: schedule.id, version: 1, changes });
    await expect(
      updateSchedule(db, scope, { id: schedule.id, version: 1, changes }),
    ).rejects.toMatchObject({ code: 'version_stale' });
    await deletePipeline(db, scope, pipeline);
    expect(await findPipelineSchedule(db, scope, pipeline.id)).toBeNull();
  });

  it('Benthos configurations run in the order of the pipeline, and stay while one names them', async () => {
    const { db, organization } = of();
    const scope = await organization();
    const pipeline = await aPipeline(db, scope);
    const made = [];
    for (const name of ['first', 'second'])
      made.push(await createBenthosConfiguration(db, scope, { name, configuration: 'input: {}' }));
    const configurationIds = made.map(({ id }) => id).reverse();
    await setPipelineBenthosConfigurations(db, scope, {
      pipelineId: pipeline.id,
      configurationIds,
    });
    const used = await listPipelineBenthosConfigurations(db, scope, pipeline.id);
    expect(used.map(({ name }) => name)).toEqual(['second', 'first']);
    const [first] = used;
    if (first === undefined) throw new Error('none');
    await expect(deleteBenthosConfiguration(db, scope, first)).rejects.toMatchObject({
      code: 'in_use',
    });
    await deletePipeline(db, scope, pipeline);
    await deleteBenthosConfiguration(db, scope, first);
  });
});
