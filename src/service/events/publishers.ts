/** All ways out that the configuration names, each on its own. */
import type { MetadataDb } from '../../metadata/database.ts';
import type { EgressPolicy } from '../egress.ts';
import type { Log } from '../log.ts';
import type { PublisherConfig, ServerConfig } from '../server-config.ts';
import { createOpenLineage } from './openlineage.ts';
import type { Publisher } from './publisher.ts';
import { startPublishing } from './publishing.ts';
import { createWebhook } from './webhook.ts';

export interface PublishersOptions {
  readonly db: MetadataDb;
  readonly config: Pick<ServerConfig, 'events'>;
  readonly policy: EgressPolicy;
  readonly log: Log;
}

async function createPublisher(
  entry: PublisherConfig,
  { db, policy }: Pick<PublishersOptions, 'db' | 'policy'>,
): Promise<Publisher> {
  switch (entry.type) {
    case 'webhook':
      return createWebhook({ ...entry, policy });
    case 'openlineage':
      return createOpenLineage({ ...entry, db, policy });
    // Their packages are loaded where they are asked for.
    case 'nats':
      return (await import('./nats.ts')).createNats({ ...entry, policy });
    case 'kafka':
      return (await import('./kafka.ts')).createKafka({ ...entry, policy });
  }
}

/** Each publisher has its own pace: one that fails or hangs holds up no other. */
export async function startPublishers(options: PublishersOptions): Promise<AsyncDisposable> {
  const { db, config, log } = options;
  await using started = new AsyncDisposableStack();
  const publishers = [];
  for (const entry of config.events) publishers.push(await createPublisher(entry, options));
  const running = publishers.map((publisher) => startPublishing({ db, publisher, log }));
  // All stop at once: each may need its grace.
  started.defer(async () => {
    await Promise.all(running.map((one) => one[Symbol.asyncDispose]()));
  });
  return started.move();
}
