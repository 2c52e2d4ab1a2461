/** Organisations, users, tokens, the audit log. */
import { z } from 'zod';
import {
  createApiToken,
  findApiToken,
  listApiTokens,
  revokeApiToken,
} from '../../metadata/api-tokens.ts';
import { type AuditRow, listAudit } from '../../metadata/audit-log.ts';
import { findOrganization, renameOrganization } from '../../metadata/organizations.ts';
import { hashPassword } from '../../metadata/passwords.ts';
import type { ApiTokensTable, UsersTable } from '../../metadata/tables.ts';
import type { MetadataDb } from '../../metadata/database.ts';
import { timeOf } from '../../metadata/transaction.ts';
import { createUser, deleteUser, findUser, listUsers, updateUser } from '../../metadata/users.ts';
import { cursorAt, listed, listedOf, pageOf } from '../page.ts';
import { passwordGate } from '../password-gate.ts';
import { fieldError, notFound } from '../problem.ts';
import { type Call, changeRoute, type Effect, readRoute, type Route } from '../route.ts';
import {
  auditListSchema,
  newTokenSchema,
  organizationInput,
  organizationListSchema,
  organizationSchema,
  tokenInput,
  tokenListSchema,
  tokenSchema,
  userChanges,
  userInput,
  userListSchema,
  userSchema,
} from '../schemas/access.ts';
import { type IdParams, idParams, pageQuery, storedId } from '../schemas/fields.ts';

const TAG = 'Access';
type IdCall = Pick<Call<IdParams, unknown, unknown>, 'caller' | 'params'>;

export function userView(row: UsersTable): Record<string, unknown> {
  const { id, email, role, created_at, disabled_at } = row;
  return { id, email, role, created_at, disabled_at };
}

function tokenView(row: ApiTokensTable): Record<string, unknown> {
  const { organization_id: _, hash: __, ...shown } = row;
  return shown;
}

async function requiredUser(db: MetadataDb, { caller, params }: IdCall): Promise<UsersTable> {
  const id = storedId(params.id);
  const row = id === null ? null : await findUser(db, caller.scope, id);
  if (row === null) throw notFound('user');
  return row;
}

async function requiredToken(db: MetadataDb, { caller, params }: IdCall): Promise<ApiTokensTable> {
  const id = storedId(params.id);
  const row = id === null ? null : await findApiToken(db, caller.scope, id);
  if (row === null) throw notFound('token');
  return row;
}

const userAudit = (action: string, row: UsersTable): Effect['audit'] => ({
  action: `user.${action}`,
  resourceType: 'user',
  resourceId: row.id,
  details: { email: row.email, role: row.role, disabled_at: row.disabled_at },
});

const organizationRoutes: readonly Route[] = [
  readRoute({
    path: '/api/v1/organizations',
    operation: 'listOrganizations',
    summary: 'The organisation of the token.',
    tag: TAG,
    permission: 'read',
    query: z.strictObject(pageQuery),
    replies: { 200: organizationListSchema },
    handle: async (call) => {
      const row = await findOrganization(call.context.db, call.caller.scope);
      const all = row === null ? [] : [row];
      const { rows, nextCursor } = listedOf('organizations', call, all, ({ id }) => id);
      return { status: 200, body: { organizations: rows, next_cursor: nextCursor } };
    },
  }),
  readRoute({
    path: '/api/v1/organizations/{id}',
    operation: 'getOrganization',
    summary: 'One organisation.',
    tag: TAG,
    permission: 'read',
    params: idParams,
    replies: { 200: organizationSchema },
    handle: async ({ context, caller, params }) => {
      const row = await findOrganization(context.db, caller.scope);
      if (row === null || row.id !== storedId(params.id)) throw notFound('organization');
      return { status: 200, body: row };
    },
  }),
  changeRoute({
    method: 'PATCH',
    path: '/api/v1/organizations/{id}',
    operation: 'renameOrganization',
    summary: 'Gives the organisation another name.',
    tag: TAG,
    permission: 'administer',
    params: idParams,
    body: organizationInput,
    example: { name: 'Harbour' },
    replies: { 200: organizationSchema },
    failures: ['already_exists'],
    change: async ({ caller, params, body }, transaction) => {
      if (storedId(params.id) !== caller.scope.organizationId) throw notFound('organization');
      const row = await renameOrganization(transaction, caller.scope, body.name);
      if (row === null) throw notFound('organization');
      return {
        status: 200,
        body: row,
        audit: {
          action: 'organization.rename',
          resourceType: 'organization',
          resourceId: row.id,
          details: { name: row.name },
        },
      };
    },
  }),
];

const userRoutes: readonly Route[] = [
  readRoute({
    path: '/api/v1/users',
    operation: 'listUsers',
    summary: 'Users, newest first.',
    tag: TAG,
    permission: 'administer',
    query: z.strictObject(pageQuery),
    replies: { 200: userListSchema },
    handle: async (call) => {
      const found = await listUsers(call.context.db, call.caller.scope, pageOf('users', call));
      const { rows, nextCursor } = listed('users', call, found);
      return { status: 200, body: { users: rows.map(userView), next_cursor: nextCursor } };
    },
  }),
  changeRoute({
    method: 'POST',
    path: '/api/v1/users',
    operation: 'createUser',
    summary: 'Makes a user, who can log in from then on.',
    tag: TAG,
    permission: 'administer',
    body: userInput,
    example: { email: 'ada@example.com', password: 'correct horse battery staple', role: 'editor' },
    replies: { 201: userSchema },
    failures: ['already_exists'],
    prepare: ({ body }) => passwordGate.pass(() => hashPassword(body.password)),
    change: async ({ body, caller }, transaction, password_hash) => {
      const { email, role } = body;
      const row = await createUser(transaction, caller.scope, { email, role, password_hash });
      return {
        status: 201,
        body: userView(row),
        headers: { location: `/api/v1/users/${row.id}` },
        audit: userAudit('create', row),
      };
    },
  }),
  readRoute({
    path: '/api/v1/users/{id}',
    operation: 'getUser',
    summary: 'One user.',
    tag: TAG,
    permission: 'administer',
    params: idParams,
    replies: { 200: userSchema },
    handle: async (call) => {
      return { status: 200, body: userView(await requiredUser(call.context.db, call)) };
    },
  }),
  changeRoute({
    method: 'PATCH',
    path: '/api/v1/users/{id}',
    operation: 'changeUser',
    summary: 'Changes role or password, disables or enables.',
    tag: TAG,
    permission: 'administer',
    params: idParams,
    body: userChanges,
    example: { role: 'operator' },
    replies: { 200: userSchema },
    failures: ['in_use'],
    prepare: async ({ body: { password } }) =>
      password === undefined ? null : await passwordGate.pass(() => hashPassword(password)),
    change: async (call, transaction, password_hash) => {
      const { role, disabled } = call.body;
      const row = await requiredUser(transaction, call);
      const disabledAt = row.disabled_at ?? timeOf();
      const changes = {
        ...(role === undefined ? {} : { role }),
        ...(password_hash === null ? {} : { password_hash }),
        ...(disabled === undefined ? {} : { disabled_at: disabled ? disabledAt : null }),
      };
      if (Object.keys(changes).length === 0) throw fieldError('body', '/', 'changes nothing');
      const after = await updateUser(transaction, call.caller.scope, row.id, changes);
      return { status: 200, body: userView(after), audit: userAudit('update', after) };
    },
  }),
  changeRoute({
    method: 'DELETE',
    path: '/api/v1/users/{id}',
    operation: 'deleteUser',
    summary: 'Deletes a user and revokes their tokens.',
    tag: TAG,
    permission: 'administer',
    params: idParams,
    replies: { 204: null },
    failures: ['in_use'],
    change: async (call, transaction) => {
      const row = await requiredUser(transaction, call);
      await deleteUser(transaction, call.caller.scope, row.id);
      return { status: 204, audit: userAudit('delete', row) };
    },
  }),
];

const tokenAudit = (action: string, row: ApiTokensTable): Effect['audit'] => ({
  action: `token.${action}`,
  resourceType: 'token',
  resourceId: row.id,
  details: { name: row.name, role: row.role, expires_at: row.expires_at },
});

const tokenRoutes: readonly Route[] = [
  readRoute({
    path: '/api/v1/tokens',
    operation: 'listTokens',
    summary: 'Tokens, newest first, without what they are.',
    tag: TAG,
    permission: 'administer',
    query: z.strictObject(pageQuery),
    replies: { 200: tokenListSchema },
    handle: async (call) => {
      const found = await listApiTokens(call.context.db, call.caller.scope, pageOf('tokens', call));
      const { rows, nextCursor } = listed('tokens', call, found);
      return { status: 200, body: { tokens: rows.map(tokenView), next_cursor: nextCursor } };
    },
  }),
  changeRoute({
    method: 'POST',
    path: '/api/v1/tokens',
    operation: 'createToken',
    summary: 'Makes a token, which is shown this once.',
    tag: TAG,
    permission: 'administer',
    body: tokenInput,
    example: { name: 'deployment', role: 'operator', expires_at: '2030-01-01T00:00:00Z' },
    replies: { 201: newTokenSchema },
    change: async ({ body, caller }, transaction) => {
      const expires = body.expires_at ?? null;
      if (expires !== null && Date.parse(expires) <= Date.now()) {
        throw fieldError('body', '/expires_at', 'is past');
      }
      const { row, token } = await createApiToken(transaction, caller.scope, {
        name: body.name,
        role: body.role,
        user_id: caller.userId,
        expires_at: expires === null ? null : timeOf(Date.parse(expires)),
      });
      return {
        status: 201,
        body: { ...tokenView(row), token },
        recorded: { ...tokenView(row), token: null },
        headers: { location: `/api/v1/tokens/${row.id}` },
        audit: tokenAudit('create', row),
      };
    },
  }),
  readRoute({
    path: '/api/v1/tokens/{id}',
    operation: 'getToken',
    summary: 'One token.',
    tag: TAG,
    permission: 'administer',
    params: idParams,
    replies: { 200: tokenSchema },
    handle: async (call) => {
      return { status: 200, body: tokenView(await requiredToken(call.context.db, call)) };
    },
  }),
  changeRoute({
    method: 'DELETE',
    path: '/api/v1/tokens/{id}',
    operation: 'revokeToken',
    summary: 'Revokes a token; it stays in the list.',
    tag: TAG,
    permission: 'administer',
    params: idParams,
    replies: { 204: null },
    change: async (call, transaction) => {
      const { id } = await requiredToken(transaction, call);
      const row = await revokeApiToken(transaction, call.caller.scope, id);
      return { status: 204, audit: tokenAudit('revoke', row) };
    },
  }),
];

function auditView(row: AuditRow): Record<string, unknown> {
  const { organization_id: _, details, ...rest } = row;
  return { ...rest, details: details === null ? null : JSON.parse(details) };
}

const auditRoutes: readonly Route[] = [
  readRoute({
    path: '/api/v1/audit-log',
    operation: 'listAuditLog',
    summary: 'Who changed what, newest first.',
    tag: TAG,
    permission: 'administer',
    query: z.strictObject(pageQuery),
    replies: { 200: auditListSchema },
    handle: async (call) => {
      const { context, caller, query } = call;
      const { after, limit } = pageOf('audit-log', call);
      const before = after === null ? null : Number(after.id);
      const found = await listAudit(context.db, caller.scope, { before, limit });
      const rows = found.slice(0, query.limit);
      const last = found.length > rows.length ? rows.at(-1) : undefined;
      const next = last === undefined ? null : { sort: '', id: String(last.id) };
      const audit_log = rows.map(auditView);
      return { status: 200, body: { audit_log, next_cursor: cursorAt('audit-log', call, next) } };
    },
  }),
];

export const accessRoutes: readonly Route[] = [
  ...organizationRoutes,
  ...userRoutes,
  ...tokenRoutes,
  ...auditRoutes,
];
