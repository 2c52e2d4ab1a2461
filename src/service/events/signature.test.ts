import { expect, it } from 'vitest';
import { Secret } from '../../core/secret.ts';
import { webhookHeaders } from './signature.ts';

const first = new Secret('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
const second = new Secret(`whsec_${Buffer.alloc(32, 1).toString('base64')}`);
const message = { id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', nowMs: 1_614_265_330_999 };

it('signs as the reference implementation does', () => {
  const headers = webhookHeaders({ ...message, body: '{"test": 2432232314}', secrets: [first] });
  expect(headers).toEqual({
    'webhook-id': message.id,
    'webhook-timestamp': '1614265330',
    'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  });
});

it('signs with every secret while they change', () => {
  const headers = webhookHeaders({ ...message, body: '{}', secrets: [second, first] });
  const signatures = headers['webhook-signature']?.split(' ');
  const alone = [second, first].map(
    (secret) => webhookHeaders({ ...message, body: '{}', secrets: [secret] })['webhook-signature'],
  );
  expect(signatures).toEqual(alone);
  expect(new Set(signatures).size).toBe(2);
});
