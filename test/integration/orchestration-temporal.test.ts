// What only Temporal has: histories that others can read, and that a later release has to replay.
import { afterAll, beforeAll, expect, test } from 'vitest';

import { Secret } from '../../src/core/secret.ts';
import type { Json } from '../../src/orchestration/flow.ts';
import { createCodec } from '../../src/orchestration/temporal/codec.ts';
import {
  flowsModule,
  temporal,
  type TemporalSubject,
  workflowId,
} from '../support/orchestration-subject.ts';
import { keyPem, makeAuthority, makeCertificate } from '../support/certificates.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { startTlsFront } from '../support/tls-front.ts';
import { eventually } from '../support/wait.ts';

let subject: TemporalSubject | null;
beforeAll(async () => {
  subject = await temporal();
});
afterAll(async () => {
  await subject?.[Symbol.asyncDispose]();
});

const canary = 'canary-5f0c7a';
const runs: readonly (readonly [string, Json])[] = [
  ['steps', { steps: 12 }],
  ['fanOut', { items: 6, limit: 2 }],
  ['failing', null],
  ['parent', { child: 'throwing', input: { note: canary } }],
  ['large', null],
];

test('histories are sealed, and replayed to the same end', async (context) => {
  if (subject === null) return context.skip();
  const { orchestrator, settings } = subject;
  const { Client, Connection } = await import('@temporalio/client');
  const { Worker } = await import('@temporalio/worker');
  const { bundleFlows } = await import('../../src/orchestration/temporal/worker.ts');
  const connection = await Connection.connect({ address: settings.address });
  const { workflow } = new Client({ connection });
  const [key] = settings.payloadKeys;
  if (key === undefined) throw new Error('no key');
  const dataConverter = { payloadCodecs: [createCodec([key])] };
  const workflowBundle = await bundleFlows(flowsModule);
  for (const [flow, input] of runs) {
    const id = workflowId();
    await orchestrator.start(flow, { workflowId: id, input });
    await orchestrator.result(id);
    const history = await workflow.getHandle(id).fetchHistory();
    const text = JSON.stringify(history, (_, value: unknown) =>
      value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : value,
    );
    expect(text).not.toMatch(/canary|the flow gave up|it failed/);
    await Worker.runReplayHistory({ workflowBundle, dataConverter }, history, id);
  }
  await connection.close();
});

test('a cluster is unreachable while it says nothing, which is known within two seconds', async (context) => {
  if (subject === null) return context.skip();
  const { settings } = subject;
  await using proxy = await startFaultProxy(Number(settings.address.split(':')[1]));
  const { connectTemporal } = await import('../../src/orchestration/temporal/orchestrator.ts');
  const address = `127.0.0.1:${proxy.port}`;
  await using orchestrator = await connectTemporal({ ...settings, address });
  const look = async (): Promise<boolean | undefined> => orchestrator.reachable?.();
  expect(await look()).toBe(true);
  for (const fault of ['blackhole', 'cut'] as const) {
    proxy[fault]();
    const startedAt = performance.now();
    expect(await Promise.all([look(), look()])).toEqual([false, false]);
    expect(performance.now() - startedAt).toBeLessThan(2500);
    proxy.heal();
    await eventually(look, { timeoutMs: 60_000 });
  }
  // What the SDK tries again meanwhile has ended before the connection does.
  proxy.cut();
  expect(await look()).toBe(false);
});

test('a cluster is known by its certificate, and asks for one', async (context) => {
  if (subject === null) return context.skip();
  const { settings } = subject;
  const authority = makeAuthority('test authority');
  const own = makeCertificate(authority, { name: 'cluster', hosts: ['cluster.test'] });
  const client = makeCertificate(authority, { name: 'forebay' });
  await using front = await startTlsFront(settings.address, { authority, own });
  const { connectTemporal } = await import('../../src/orchestration/temporal/orchestrator.ts');
  const tls = {
    ca: authority.certificate,
    client: { certificate: client.certificate, key: new Secret(keyPem(client.key)) },
    serverName: 'cluster.test',
  };
  const through = { ...settings, address: front.address, tls };
  {
    await using orchestrator = await connectTemporal(through);
    const id = workflowId();
    await orchestrator.start('steps', { workflowId: id, input: { steps: 2 } });
    expect(await orchestrator.result(id)).toMatchObject({ status: 'completed' });
  }
  const strange = makeAuthority('another authority').certificate;
  const refused = [
    { ...through, tls: { ...tls, ca: strange } },
    { ...through, tls: { ...tls, client: null } },
    { ...through, tls: { ...tls, serverName: 'elsewhere.test' } },
    { ...through, tls: null },
  ].map((one) =>
    expect(connectTemporal(one)).rejects.toMatchObject({ code: 'orchestrator_unreachable' }),
  );
  await Promise.all(refused);
  const { startTemporalWorker } = await import('../../src/orchestration/temporal/worker.ts');
  const onFault = (fault: unknown): void => {
    throw fault;
  };
  const work = { flowsModule, activities: {}, onFault };
  await using _worker = await startTemporalWorker({
    ...work,
    settings: { ...through, taskQueue: 'through-tls' },
  });
  await expect(
    startTemporalWorker({ ...work, settings: { ...through, tls: { ...tls, ca: strange } } }),
  ).rejects.toMatchObject({ code: 'orchestrator_unreachable' });
});
