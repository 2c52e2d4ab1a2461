/** An organisation with the one who is to make all else in it. */
import { createApiToken, type IssuedToken } from './api-tokens.ts';
import { createOrganization } from './organizations.ts';
import { scopeOf } from './scope.ts';
import type { OrganizationsTable, UsersTable } from './tables.ts';
import type { MetadataTransaction } from './transaction.ts';
import { createUser } from './users.ts';

export interface FirstAdmin {
  readonly organization: string;
  readonly email: string;
  readonly passwordHash: string;
}

export interface SetUp {
  readonly organization: OrganizationsTable;
  readonly user: UsersTable;
  readonly issued: IssuedToken;
}

/** Organisation, admin and an API token of theirs, all or none. Throws `already_exists` for the name and the e-mail. */
export async function createWithAdmin(
  transaction: MetadataTransaction,
  first: FirstAdmin,
): Promise<SetUp> {
  const organization = await createOrganization(transaction, first.organization);
  const scope = scopeOf(organization.id);
  const user = await createUser(transaction, scope, {
    email: first.email,
    password_hash: first.passwordHash,
    role: 'admin',
  });
  const issued = await createApiToken(transaction, scope, {
    name: 'setup',
    role: 'admin',
    user_id: user.id,
    expires_at: null,
  });
  return { organization, user, issued };
}
