/** Headers of Standard Webhooks (standardwebhooks.com): who receives can tell who sent, and what was sent again. Pure. */
import { createHmac } from 'node:crypto';
import type { Secret } from '../../core/secret.ts';
import { signingKey } from '../server-schema.ts';

export interface Signing {
  /** The same for every attempt. */
  readonly id: string;
  readonly nowMs: number;
  /** Exactly as it is sent. */
  readonly body: string;
  /** Each signs; the newest first. */
  readonly secrets: readonly Secret[];
}

export function webhookHeaders({
  id,
  nowMs,
  body,
  secrets,
}: Signing): Readonly<Record<string, string>> {
  const timestamp = String(Math.floor(nowMs / 1000));
  const signatures = secrets.map((secret) => {
    const key = signingKey(secret.reveal());
    if (key === null) throw new TypeError('a signing secret that the configuration let through');
    const content = `${id}.${timestamp}.${body}`;
    return `v1,${createHmac('sha256', key).update(content).digest('base64')}`;
  });
  return {
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': signatures.join(' '),
  };
}
