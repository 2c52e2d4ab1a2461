// Every list shows what belongs to the organisation, newest first, and nothing else.
import { expect, it } from 'vitest';
import { createApiToken, listApiTokens } from '../../src/metadata/api-tokens.ts';
import {
  createBenthosConfiguration,
  listBenthosConfigurations,
  updateBenthosConfiguration,
} from '../../src/metadata/benthos-configurations.ts';
import { listConnections } from '../../src/metadata/connections.ts';
import type { MetadataDb } from '../../src/metadata/database.ts';
import { allOpenExecutions, claimExecution } from '../../src/metadata/executions.ts';
import {
  allOrganizations,
  findOrganization,
  renameOrganization,
} from '../../src/metadata/organizations.ts';
import { listPipelines } from '../../src/metadata/pipelines.ts';
import { listQualityMetrics, recordQualityMetrics } from '../../src/metadata/quality-metrics.ts';
import {
  createSchedule,
  deleteSchedule,
  findSchedule,
  listPipelineSchedules,
  listSchedules,
} from '../../src/metadata/schedules.ts';
import type { OrganizationScope } from '../../src/metadata/scope.ts';
import { organizationsWithSecrets } from '../../src/metadata/secrets.ts';
import { createUser, findUser, listUsers } from '../../src/metadata/users.ts';
import { aConnection, aPipeline, freshName } from '../support/metadata-builders.ts';
import { describeEachStore } from '../support/metadata-stores.ts';

async function fill(db: MetadataDb, scope: OrganizationScope) {
  const connection = await aConnection(db, scope);
  const pipeline = await aPipeline(db, scope, { source_connection_id: connection.id });
  const schedule = await createSchedule(db, scope, {
    pipeline_id: pipeline.id,
    schedule_type: 'interval',
    cron_expression: null,
    interval_seconds: 60,
    time_zone: 'UTC',
    overlap_policy: 'skip',
    catchup_window_seconds: 600,
    is_paused: 0,
    next_fire_at: null,
  });
  const email = `${freshName('user').replace(' ', '-')}@example.org`;
  const user = await createUser(db, scope, { email, password_hash: null, role: 'admin' });
  const { row: token } = await createApiToken(db, scope, {
    name: 'ci',
    role: 'viewer',
    user_id: user.id,
    expires_at: null,
  });
  const benthos = await createBenthosConfiguration(db, scope, {
    name: freshName('benthos'),
    configuration: 'input: {}',
  });
  return { connection, pipeline, schedule, user, token, benthos };
}

describeEachStore('an organisation', (of) => {
  it('sees its own rows in every list', async () => {
    const { db, organization } = of();
    const [one, other, empty] = [await organization(), await organization(), await organization()];
    const made = await fill(db, one);
    const foreign = await fill(db, other);
    const page = { after: null, limit: 10 };
    const lists = async (scope: OrganizationScope) => ({
      connection: await listConnections(db, scope, page),
      pipeline: await listPipelines(db, scope, page),
      schedule: await listSchedules(db, scope, page),
      user: await listUsers(db, scope, page),
      token: await listApiTokens(db, scope, page),
      benthos: await listBenthosConfigurations(db, scope, page),
    });
    expect(await lists(one)).toEqual(
      Object.fromEntries(Object.entries(made).map(([name, row]) => [name, [row]])),
    );
    expect(Object.values(await lists(empty)).flat()).toEqual([]);
    expect(await findUser(db, one, foreign.user.id)).toBeNull();
    const schedules = [made.schedule, foreign.schedule].map(({ pipeline_id }) => pipeline_id);
    expect(await listPipelineSchedules(db, one, schedules)).toEqual([made.schedule]);
    const sealed = (await organizationsWithSecrets(db)).map(({ organizationId }) => organizationId);
    expect(sealed.sort()).toEqual([one.organizationId, other.organizationId].sort());
  });

  it("does not change another one's rows", async () => {
    const { db, organization } = of();
    const [one, other] = [await organization(), await organization()];
    const { schedule, benthos, pipeline } = await fill(db, one);
    const refused = { code: 'not_found' };
    await expect(deleteSchedule(db, other, schedule)).rejects.toMatchObject(refused);
    const update = { id: benthos.id, version: 1, changes: { configuration: 'x' } };
    await expect(updateBenthosConfiguration(db, other, update)).rejects.toMatchObject(refused);
    const execution = {
      pipeline_id: pipeline.id,
      workflow: 'ETLWorkflow',
      trigger: 'api',
      parameters: '{}',
    } as const;
    await expect(claimExecution(db, other, execution)).rejects.toMatchObject(refused);
    expect(await updateBenthosConfiguration(db, one, update)).toMatchObject({ version: 2 });
    await deleteSchedule(db, one, schedule);
    expect(await findSchedule(db, one, schedule.id)).toBeNull();
    const claimed = await claimExecution(db, one, execution);
    const { id, pipeline_id, status } = claimed.execution;
    expect(await allOpenExecutions(db)).toContainEqual(
      expect.objectContaining({ id, pipeline_id, status }),
    );
    const place = {
      pipelineId: pipeline.id,
      executionId: claimed.execution.id,
      layer: 'silver',
      stream: 's',
    } as const;
    const metric = { rule: null, metric_type: 'total_records', severity: 'info' } as const;
    await recordQualityMetrics(db, one, place, {
      metrics: [{ ...metric, count: 1, details: null }],
      at: claimed.execution.scheduled_at,
    });
    expect(await listQualityMetrics(db, one, place.executionId)).toMatchObject([metric]);
    expect(await listQualityMetrics(db, other, place.executionId)).toEqual([]);
  });

  it('has a name that no other one has', async () => {
    const { db, organization } = of();
    const [one, other] = [await organization(), await organization()];
    const name = freshName('renamed');
    await renameOrganization(db, one, name);
    expect(await findOrganization(db, one)).toMatchObject({ name });
    await expect(renameOrganization(db, other, name)).rejects.toMatchObject({
      code: 'already_exists',
    });
    expect((await allOrganizations(db)).map(({ id }) => id)).toContain(other.organizationId);
  });
});
