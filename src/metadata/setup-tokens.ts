/** How the first admin comes in: with a token that the server tells to who starts it, and that works once. */
import { ForebayError } from '../core/errors.ts';
import { createApiToken, type IssuedToken } from './api-tokens.ts';
import type { MetadataDb } from './database.ts';
import { createOrganization } from './organizations.ts';
import { hashPassword } from './passwords.ts';
import { scopeOf } from './scope.ts';
import type { OrganizationsTable, UsersTable } from './tables.ts';
import { isTokenText, newToken, tokenHash } from './token-text.ts';
import { inTransaction, lockUntilCommit, timeOf } from './transaction.ts';
import { createUser } from './users.ts';

const VALID_MS = 3_600_000;
const LOCK = 'setup';

/** Null where there is an organisation already. One that was made before is void from now on. */
export function createSetupToken(
  db: MetadataDb,
  nowMs: number = Date.now(),
): Promise<string | null> {
  return inTransaction(db, async (transaction) => {
    await lockUntilCommit(transaction, LOCK);
    if (await hasOrganization(transaction)) return null;
    const token = newToken();
    await transaction.deleteFrom('setup_tokens').execute();
    await transaction
      .insertInto('setup_tokens')
      .values({ hash: tokenHash(token), expires_at: timeOf(nowMs + VALID_MS), used_at: null })
      .execute();
    return token;
  });
}

export interface FirstAdmin {
  readonly token: string;
  readonly organization: string;
  readonly email: string;
  readonly password: string;
}

export interface SetUp {
  readonly organization: OrganizationsTable;
  readonly user: UsersTable;
  readonly issued: IssuedToken;
}

/** Makes organisation, admin and an API token, all or none. Throws `setup_token`. */
export async function setUp(
  db: MetadataDb,
  first: FirstAdmin,
  nowMs: number = Date.now(),
): Promise<SetUp> {
  // Before the password is hashed: who has no token shall not make the server work.
  if (!(await isValid(db, first.token, nowMs))) throw refused();
  const password_hash = await hashPassword(first.password);
  return inTransaction(db, async (transaction) => {
    await lockUntilCommit(transaction, LOCK);
    const { numUpdatedRows } = await transaction
      .updateTable('setup_tokens')
      .set({ used_at: timeOf(nowMs) })
      .where('hash', '=', tokenHash(first.token))
      .where('used_at', 'is', null)
      .where('expires_at', '>', timeOf(nowMs))
      .executeTakeFirst();
    if (numUpdatedRows === 0n || (await hasOrganization(transaction))) throw refused();
    const organization = await createOrganization(transaction, first.organization);
    const scope = scopeOf(organization.id);
    const user = await createUser(transaction, scope, {
      email: first.email,
      password_hash,
      role: 'admin',
    });
    const issued = await createApiToken(transaction, scope, {
      name: 'setup',
      role: 'admin',
      user_id: user.id,
      expires_at: null,
    });
    return { organization, user, issued };
  });
}

async function isValid(db: MetadataDb, token: string, nowMs: number): Promise<boolean> {
  if (!isTokenText(token)) return false;
  const row = await db
    .selectFrom('setup_tokens')
    .select('hash')
    .where('hash', '=', tokenHash(token))
    .where('used_at', 'is', null)
    .where('expires_at', '>', timeOf(nowMs))
    .executeTakeFirst();
  return row !== undefined;
}

async function hasOrganization(db: MetadataDb): Promise<boolean> {
  const row = await db.selectFrom('organizations').select('id').executeTakeFirst();
  return row !== undefined;
}

function refused(): ForebayError {
  return new ForebayError('setup_token', { message: 'the setup token is not valid' });
}
