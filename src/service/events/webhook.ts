import type { Secret } from '../../core/secret.ts';
import { CLOUD_EVENT_TYPE, toCloudEvent } from './cloud-event.ts';
import { createHttpPost, type PostTarget } from './http-post.ts';
import { outcomeOfFailure, outcomeOfReply, type Publisher } from './publisher.ts';
import { webhookHeaders } from './signature.ts';

export interface WebhookOptions extends PostTarget {
  readonly id: string;
  readonly secrets: readonly Secret[];
}

export function createWebhook({ id, secrets, ...target }: WebhookOptions): Publisher {
  const post = createHttpPost(target);
  return {
    id,
    async send(event, signal) {
      const body = JSON.stringify(toCloudEvent(event));
      const headers = {
        'content-type': CLOUD_EVENT_TYPE,
        ...webhookHeaders({ id: event.event_id, nowMs: Date.now(), body, secrets }),
      };
      try {
        return outcomeOfReply(await post.send({ headers, body, signal }));
      } catch (error) {
        return outcomeOfFailure(error);
      }
    },
    async [Symbol.asyncDispose]() {
      post[Symbol.dispose]();
    },
  };
}
