/** To a JetStream stream: an event is delivered once the stream has it, and sent again it is there once. */
import type * as JetStream from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Secret } from '../../core/secret.ts';
import { type EgressPolicy, resolveGuarded } from '../egress.ts';
import { CLOUD_EVENT_TYPE, toCloudEvent } from './cloud-event.ts';
import { loadPackage } from './load-package.ts';
import { DELIVERED, outcomeOfFailure, type Publisher } from './publisher.ts';

export interface NatsOptions {
  readonly id: string;
  readonly url: string;
  readonly subject: string;
  readonly user: string | null;
  readonly password: Secret | null;
  readonly token: Secret | null;
  readonly policy: EgressPolicy;
}

const TIMEOUT_MS = 10_000;
const PACKAGES = '@nats-io/transport-node @nats-io/jetstream';

interface Session {
  readonly connection: NatsConnection;
  readonly stream: JetStream.JetStreamClient;
}

export async function createNats(options: NatsOptions): Promise<Publisher> {
  const { id, url, subject, user, password, token, policy } = options;
  const [transport, jetStream] = await loadPackage(
    () => Promise.all([import('@nats-io/transport-node'), import('@nats-io/jetstream')]),
    PACKAGES,
  );
  let session: Session | null = null;
  const open = async (): Promise<Session> => {
    await resolveGuarded(policy, new URL(url).hostname);
    const connection = await transport.connect({
      servers: url,
      name: 'forebay',
      timeout: TIMEOUT_MS,
      // Whether and when it is tried again is decided with the deliveries; other servers were not named.
      reconnect: false,
      ignoreClusterUpdates: true,
      ...(/^tls:/i.test(url) ? { tls: {} } : {}),
      ...(user === null || password === null ? {} : { user, pass: password.reveal() }),
      ...(token === null ? {} : { token: token.reveal() }),
    });
    return { connection, stream: jetStream.jetstream(connection, { timeout: TIMEOUT_MS }) };
  };
  const close = async (): Promise<void> => {
    const ended = session;
    session = null;
    await ended?.connection.close();
  };
  return {
    id,
    async send(event) {
      try {
        if (session?.connection.isClosed() === true) session = null;
        session ??= await open();
        const headers = transport.headers();
        headers.set('content-type', CLOUD_EVENT_TYPE);
        const body = JSON.stringify(toCloudEvent(event));
        await session.stream.publish(subject, body, { headers, msgID: event.event_id });
        return DELIVERED;
      } catch (error) {
        await close();
        // So it is called where nobody answers for the subject, too; the package does not hand out the class.
        if (error instanceof Error && error.name === 'JetStreamNotEnabled') {
          const missing = `no JetStream stream takes the subject ${subject}`;
          return { kind: 'later', error: missing, isDown: true, retryAfterMs: null };
        }
        return outcomeOfFailure(error);
      }
    },
    [Symbol.asyncDispose]: close,
  };
}
