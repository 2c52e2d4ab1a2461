/** All ways out that the configuration names, each on its own. */
import type { MetadataDb } from '../../metadata/database.ts';
import { forgetEvents } from '../../metadata/event-deliveries.ts';
import { timeOf } from '../../metadata/transaction.ts';
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

const HOUR_MS = 3_600_000;
/** Events that nobody still has to send. */
const KEPT_MS = 30 * 24 * HOUR_MS;

function startForgetting({ db, log }: Pick<PublishersOptions, 'db' | 'log'>): Disposable {
  const timer = setInterval(() => {
    forgetEvents(db, timeOf(Date.now() - KEPT_MS)).catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      log.at('error', 'event_publishing_fault', { reason });
    });
  }, HOUR_MS);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** Each publisher has its own pace: one that fails or hangs holds up no other. */
export async function startPublishers(options: PublishersOptions): Promise<AsyncDisposable> {
  const { db, config, log } = options;
  await using started = new AsyncDisposableStack();
  started.use(startForgetting(options));
  const publishers = [];
  for (const entry of config.events) publishers.push(await createPublisher(entry, options));
  const running = publishers.map((publisher) => startPublishing({ db, publisher, log }));
  // All stop at once: each may need its grace.
  started.defer(async () => {
    await Promise.all(running.map((one) => one[Symbol.asyncDispose]()));
  });
  return started.move();
}
