/** Organisations beside the first one; what each has the others do not see. */
import { appendAudit } from '../../metadata/audit-log.ts';
import { createWithAdmin } from '../../metadata/first-admin.ts';
import { hashPassword } from '../../metadata/passwords.ts';
import { scopeOf } from '../../metadata/scope.ts';
import { passwordGate } from '../password-gate.ts';
import { changeRoute, type Route } from '../route.ts';
import { newOrganizationInput, newOrganizationSchema } from '../schemas/access.ts';
import { userView } from './access.ts';

const createOrganization = changeRoute({
  method: 'POST',
  path: '/api/v1/organizations',
  operation: 'createOrganization',
  summary: 'Makes another organisation with its first admin, whose token is shown this once.',
  tag: 'Access',
  permission: 'administer',
  body: newOrganizationInput,
  example: {
    name: 'Lighthouse',
    email: 'grace@example.com',
    password: 'correct horse battery staple',
  },
  replies: { 201: newOrganizationSchema },
  failures: ['already_exists'],
  prepare: ({ body }) => passwordGate.pass(() => hashPassword(body.password)),
  change: async ({ body, caller }, transaction, passwordHash) => {
    const { name, email } = body;
    const made = await createWithAdmin(transaction, { organization: name, email, passwordHash });
    const { organization, user, issued } = made;
    // In the log of the new one, too, where who asked for it is nobody that is known.
    await appendAudit(transaction, scopeOf(organization.id), {
      actor: 'system',
      action: 'organization.create',
      resource_type: 'organization',
      resource_id: organization.id,
      details: JSON.stringify({ name }),
      address: caller.address,
    });
    const shown = { organization, user: userView(user), expires_at: issued.row.expires_at };
    return {
      status: 201,
      body: { ...shown, token: issued.token },
      recorded: { ...shown, token: null },
      audit: {
        action: 'organization.create',
        resourceType: 'organization',
        resourceId: organization.id,
        details: { name },
      },
    };
  },
});

export const newOrganizationRoutes: readonly Route[] = [createOrganization];
