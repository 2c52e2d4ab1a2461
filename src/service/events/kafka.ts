/** To a topic, keyed by what the events are about: those of one execution stay in order. */
import type { Producer } from '@platformatic/kafka';
import type { Secret } from '../../core/secret.ts';
import { type EgressPolicy, resolveGuarded } from '../egress.ts';
import { CLOUD_EVENT_TYPE, toCloudEvent } from './cloud-event.ts';
import { loadPackage } from './load-package.ts';
import { DELIVERED, outcomeOfFailure, type Publisher } from './publisher.ts';

export interface KafkaOptions {
  readonly id: string;
  readonly brokers: readonly string[];
  readonly topic: string;
  readonly tls: boolean;
  readonly sasl: {
    readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512';
    readonly username: string;
    readonly password: Secret;
  } | null;
  readonly policy: EgressPolicy;
}

const TIMEOUT_MS = 10_000;
const ALL_REPLICAS = -1;

type TextProducer = Producer<string, string, string, string>;

/** `host:port`, `[::1]:port` */
function hostOf(broker: string): string {
  return broker.slice(0, broker.lastIndexOf(':'));
}

/** What the broker said, out of what the client wraps it in. */
function rootOf(error: unknown): unknown {
  const inner: unknown = error instanceof AggregateError ? error.errors.at(-1) : undefined;
  return inner === undefined ? error : rootOf(inner);
}

export async function createKafka(options: KafkaOptions): Promise<Publisher> {
  const { id, brokers, topic, tls, sasl, policy } = options;
  const kafka = await loadPackage(() => import('@platformatic/kafka'), '@platformatic/kafka');
  let producer: TextProducer | null = null;
  const open = async (): Promise<TextProducer> => {
    for (const broker of brokers) await resolveGuarded(policy, hostOf(broker));
    return new kafka.Producer({
      clientId: 'forebay',
      bootstrapBrokers: [...brokers],
      serializers: kafka.stringSerializers,
      connectTimeout: TIMEOUT_MS,
      requestTimeout: TIMEOUT_MS,
      timeout: TIMEOUT_MS,
      // Whether and when it is tried again is decided with the deliveries.
      retries: 1,
      ...(tls ? { tls: {}, tlsServerName: true } : {}),
      ...(sasl === null ? {} : { sasl: { ...sasl, password: sasl.password.reveal() } }),
    });
  };
  const close = async (): Promise<void> => {
    const ended = producer;
    producer = null;
    await ended?.close(true);
  };
  return {
    id,
    async send(event) {
      try {
        producer ??= await open();
        const value = JSON.stringify(toCloudEvent(event));
        const headers = { 'content-type': CLOUD_EVENT_TYPE };
        const messages = [{ topic, key: event.subject, value, headers }];
        await producer.send({ messages, acks: ALL_REPLICAS, autocreateTopics: true });
        return DELIVERED;
      } catch (error) {
        await close();
        return outcomeOfFailure(rootOf(error));
      }
    },
    [Symbol.asyncDispose]: close,
  };
}
