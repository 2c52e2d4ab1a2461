/** How the first admin comes in: with a token that the server tells to who starts it, and that works once. */
import { ForebayError } from '../core/errors.ts';
import type { MetadataDb } from './database.ts';
import { createWithAdmin, type SetUp } from './first-admin.ts';
import { hashPassword } from './passwords.ts';
import { isTokenText, newToken, tokenHash } from './token-text.ts';
import { inTransaction, lockUntilCommit, timeOf } from './transaction.ts';

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

export interface SetUpRequest {
  readonly token: string;
  readonly organization: string;
  readonly email: string;
  readonly password: string;
}

/** Makes organisation, admin and an API token, all or none. Throws `setup_token`. */
export async function setUp(
  db: MetadataDb,
  first: SetUpRequest,
  nowMs: number = Date.now(),
): Promise<SetUp> {
  // Before the password is hashed: who has no token shall not make the server work.
  if (!(await isValid(db, first.token, nowMs))) throw refused();
  const passwordHash = await hashPassword(first.password);
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
    const { organization, email } = first;
    return await createWithAdmin(transaction, { organization, email, passwordHash });
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
