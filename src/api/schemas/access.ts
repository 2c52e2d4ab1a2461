/** Organisations, users, tokens; setting up and logging in. */
import { z } from 'zod';
import { json, name, nextCursor, time, uuid } from './fields.ts';

export const ROLES = ['viewer', 'operator', 'editor', 'admin'] as const;
const role = z.enum(ROLES).meta({ description: 'Each may do what those before may.' });

const email = z.email().max(254).toLowerCase();
const password = z
  .string()
  .min(12)
  .max(1000)
  .meta({ description: 'Twelve characters or more.', format: 'password', writeOnly: true });

const issuedToken = z
  .string()
  .meta({ description: 'Shown this once; send it as `Authorization: Bearer`.' });

export const organizationSchema = z
  .object({ id: uuid, name: z.string(), created_at: time })
  .meta({ id: 'Organization' });
export const organizationListSchema = z.object({
  organizations: z.array(organizationSchema),
  next_cursor: nextCursor,
});
export const organizationInput = z.strictObject({ name });

export const userSchema = z
  .object({
    id: uuid,
    email: z.string(),
    role,
    created_at: time,
    disabled_at: time.nullable(),
  })
  .meta({ id: 'User' });
export const userListSchema = z.object({ users: z.array(userSchema), next_cursor: nextCursor });
export const userInput = z.strictObject({ email, password, role }).meta({ id: 'UserInput' });
export const userChanges = z
  .strictObject({
    role: role.optional(),
    password: password.optional(),
    disabled: z.boolean().optional(),
  })
  .meta({ id: 'UserChanges' });

export const tokenSchema = z
  .object({
    id: uuid,
    name: z.string(),
    prefix: z.string().meta({ description: 'First characters, to tell tokens apart.' }),
    role,
    user_id: uuid.nullable(),
    expires_at: time.nullable(),
    last_used_at: time.nullable(),
    created_at: time,
    revoked_at: time.nullable(),
  })
  .meta({ id: 'Token' });
export const tokenListSchema = z.object({ tokens: z.array(tokenSchema), next_cursor: nextCursor });
export const tokenInput = z
  .strictObject({
    name,
    role,
    expires_at: z.iso
      .datetime()
      .nullish()
      .meta({ description: 'Left out, it is valid until it is revoked.' }),
  })
  .meta({ id: 'TokenInput' });
export const newTokenSchema = tokenSchema
  .extend({
    token: issuedToken
      .nullable()
      .meta({ description: 'Null where an Idempotency-Key brings back the answer.' }),
  })
  .meta({ id: 'NewToken' });

export const newOrganizationInput = z
  .strictObject({ name, email, password })
  .meta({ id: 'NewOrganizationInput' });

export const setupInput = z
  .strictObject({
    token: z.string().min(1).max(200).meta({ description: 'As the server printed it.' }),
    organization: name,
    email,
    password,
  })
  .meta({ id: 'SetupInput' });

export const loginInput = z
  .strictObject({ email, password: z.string().min(1).max(1000) })
  .meta({ id: 'LoginInput' });

export const sessionSchema = z
  .object({
    token: issuedToken,
    expires_at: time.nullable(),
    user: userSchema,
    organization: organizationSchema,
  })
  .meta({ id: 'Session' });
export const newOrganizationSchema = sessionSchema
  .extend({
    token: issuedToken
      .nullable()
      .meta({ description: 'Null where an Idempotency-Key brings back the answer.' }),
  })
  .meta({ id: 'NewOrganization' });

export const auditListSchema = z.object({
  audit_log: z.array(
    z.object({
      id: z.int(),
      actor: z.string().meta({ description: '`user:<id>`, `token:<id>` or `system`.' }),
      action: z.string(),
      resource_type: z.string(),
      resource_id: z.string().nullable(),
      details: json.nullable(),
      address: z.string().nullable(),
      timestamp: time,
      hash: z.string().meta({ description: 'SHA-256 over the entry before and this one.' }),
    }),
  ),
  next_cursor: nextCursor,
});
