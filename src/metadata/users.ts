import { ForebayError } from '../core/errors.ts';
import { uuidv7 } from '../core/uuid.ts';
import type { MetadataDb } from './database.ts';
import { notFound, orTaken } from './failures.ts';
import { isAfter, type Page } from './page.ts';
import { checkPassword, hashPassword } from './passwords.ts';
import type { OrganizationScope } from './scope.ts';
import type { Role, Time, UsersTable } from './tables.ts';
import { inTransaction, lockUntilCommit, type MetadataTransaction, timeOf } from './transaction.ts';

const emailOf = (text: string): string => text.trim().toLowerCase();

/** `password_hash` comes from `hashPassword`, made before the transaction: it takes its time. Throws `already_exists`. */
export function createUser(
  db: MetadataDb,
  scope: OrganizationScope,
  user: Pick<UsersTable, 'email' | 'password_hash' | 'role'>,
): Promise<UsersTable> {
  const email = emailOf(user.email);
  const insert = db
    .insertInto('users')
    .values({
      ...user,
      email,
      id: uuidv7(),
      organization_id: scope.organizationId,
      created_at: timeOf(),
      disabled_at: null,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  return orTaken(insert, `a user ${email}`);
}

/** The user, where there is one who may log in with this password; every refusal takes as long as the other. */
export async function logIn(
  db: MetadataDb,
  { email, password }: { readonly email: string; readonly password: string },
): Promise<UsersTable | null> {
  const user = await db
    .selectFrom('users')
    .selectAll()
    .where('email', '=', emailOf(email))
    .executeTakeFirst();
  const { right, outdated } = await checkPassword(password, user?.password_hash ?? null);
  if (!right || user === undefined || user.disabled_at !== null) return null;
  if (!outdated) return user;
  const password_hash = await hashPassword(password);
  await db
    .updateTable('users')
    .set({ password_hash })
    .where('organization_id', '=', user.organization_id)
    .where('id', '=', user.id)
    // Not over a password that was changed meanwhile.
    .where('password_hash', '=', user.password_hash)
    .execute();
  return { ...user, password_hash };
}

export async function findUser(
  db: MetadataDb,
  scope: OrganizationScope,
  id: string,
): Promise<UsersTable | null> {
  const row = await db
    .selectFrom('users')
    .selectAll()
    .where('organization_id', '=', scope.organizationId)
    .where('id', '=', id)
    .executeTakeFirst();
  return row ?? null;
}

export function listUsers(
  db: MetadataDb,
  scope: OrganizationScope,
  page: Page,
): Promise<UsersTable[]> {
  return db
    .selectFrom('users')
    .selectAll()
    .where('organization_id', '=', scope.organizationId)
    .where(isAfter('created_at', page.after))
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(page.limit)
    .execute();
}

export interface UserChanges {
  readonly role?: Role;
  readonly password_hash?: string;
  readonly disabled_at?: Time | null;
}

/** Throws `not_found`, and `in_use` where no admin would be left. */
export function updateUser(
  db: MetadataDb,
  scope: OrganizationScope,
  id: string,
  changes: UserChanges,
): Promise<UsersTable> {
  return inTransaction(db, async (transaction) => {
    await lockUntilCommit(transaction, `users:${scope.organizationId}`);
    const row = await transaction
      .updateTable('users')
      // The id, so that a change of nothing is a statement too.
      .set({ ...changes, id })
      .where('organization_id', '=', scope.organizationId)
      .where('id', '=', id)
      .returningAll()
      .executeTakeFirst();
    if (row === undefined) throw notFound('user', id);
    await requireAdmin(transaction, scope);
    return row;
  });
}

/** With the tokens that were issued to the user. Throws as `updateUser`. */
export function deleteUser(db: MetadataDb, scope: OrganizationScope, id: string): Promise<void> {
  return inTransaction(db, async (transaction) => {
    await lockUntilCommit(transaction, `users:${scope.organizationId}`);
    await transaction
      .deleteFrom('api_tokens')
      .where('organization_id', '=', scope.organizationId)
      .where('user_id', '=', id)
      .execute();
    const { numDeletedRows } = await transaction
      .deleteFrom('users')
      .where('organization_id', '=', scope.organizationId)
      .where('id', '=', id)
      .executeTakeFirst();
    if (numDeletedRows === 0n) throw notFound('user', id);
    await requireAdmin(transaction, scope);
  });
}

async function requireAdmin(
  transaction: MetadataTransaction,
  scope: OrganizationScope,
): Promise<void> {
  const admin = await transaction
    .selectFrom('users')
    .select('id')
    .where('organization_id', '=', scope.organizationId)
    .where('role', '=', 'admin')
    .where('disabled_at', 'is', null)
    .executeTakeFirst();
  if (admin === undefined)
    throw new ForebayError('in_use', {
      message: 'the organisation would have no admin',
      fix: 'Make another user an admin first.',
    });
}
