/** The two ways in without a token: the first one ever, and logging in. */
import { ForebayError } from '../../core/errors.ts';
import { createApiToken, type IssuedToken } from '../../metadata/api-tokens.ts';
import { appendAudit } from '../../metadata/audit-log.ts';
import { findOrganization } from '../../metadata/organizations.ts';
import { scopeOf } from '../../metadata/scope.ts';
import { setUp } from '../../metadata/setup-tokens.ts';
import type { OrganizationsTable, UsersTable } from '../../metadata/tables.ts';
import { inTransaction, timeOf } from '../../metadata/transaction.ts';
import { logIn } from '../../metadata/users.ts';
import { passwordGate } from '../password-gate.ts';
import { openRoute, type Reply, type Route } from '../route.ts';
import { loginInput, sessionSchema, setupInput } from '../schemas/access.ts';
import { userView } from './access.ts';

const TAG = 'Access';
const SESSION_MS = 86_400_000;

function session(
  status: number,
  issued: IssuedToken,
  user: UsersTable,
  organization: OrganizationsTable,
): Reply {
  const { token, row } = issued;
  const body = { token, expires_at: row.expires_at, user: userView(user), organization };
  return { status, body };
}

const setup = openRoute({
  method: 'POST',
  path: '/api/v1/setup',
  operation: 'setUp',
  summary: 'Makes the organisation and its first admin, with the token that the server printed.',
  tag: TAG,
  guarded: true,
  body: setupInput,
  example: {
    token: 'fb_...',
    organization: 'Harbour',
    email: 'ada@example.com',
    password: 'correct horse battery staple',
  },
  replies: { 201: sessionSchema },
  failures: ['setup_token', 'already_exists'],
  handle: async ({ context, body }) => {
    const { organization, user, issued } = await passwordGate.pass(() => setUp(context.db, body));
    return session(201, issued, user, organization);
  },
});

const login = openRoute({
  method: 'POST',
  path: '/api/v1/login',
  operation: 'logIn',
  summary: 'Gives a token for a day.',
  tag: TAG,
  guarded: true,
  guessed: ({ email }) => email,
  body: loginInput,
  example: { email: 'ada@example.com', password: 'correct horse battery staple' },
  replies: { 200: sessionSchema },
  failures: ['unauthenticated'],
  handle: async ({ context, body, address }) => {
    const user = await passwordGate.pass(() => logIn(context.db, body));
    if (user === null) {
      context.log.at('warn', 'login_refused', { address });
      throw new ForebayError('unauthenticated', {
        message: 'E-mail and password belong to no user who may log in',
        fix: 'Check both; an admin can set another password.',
      });
    }
    const scope = scopeOf(user.organization_id);
    const organization = await findOrganization(context.db, scope);
    if (organization === null) throw new Error('a user without an organisation');
    const issued = await inTransaction(context.db, async (transaction) => {
      const made = await createApiToken(transaction, scope, {
        name: 'login',
        role: user.role,
        user_id: user.id,
        expires_at: timeOf(Date.now() + SESSION_MS),
      });
      await appendAudit(transaction, scope, {
        actor: `user:${user.id}`,
        action: 'session.begin',
        resource_type: 'token',
        resource_id: made.row.id,
        details: null,
        address,
      });
      return made;
    });
    return session(200, issued, user, organization);
  },
});

export const sessionRoutes: readonly Route[] = [setup, login];
