import { timingSafeEqual } from 'node:crypto';
import { uuidv7 } from '../core/uuid.ts';
import type { MetadataDb } from './database.ts';
import { notFound } from './failures.ts';
import { isAfter, type Page } from './page.ts';
import { lesserRole } from './roles.ts';
import { type OrganizationScope, scopeOf } from './scope.ts';
import type { ApiTokensTable, Role } from './tables.ts';
import { isTokenText, newToken, tokenHash, tokenPrefix } from './token-text.ts';
import { timeOf } from './transaction.ts';

/** `last_used_at` is as old as this at most. */
const USE_NOTED_MS = 60_000;

export interface IssuedToken {
  readonly row: ApiTokensTable;
  /** Told once, to who asked for it; stored nowhere. */
  readonly token: string;
}

export async function createApiToken(
  db: MetadataDb,
  scope: OrganizationScope,
  content: Pick<ApiTokensTable, 'name' | 'role' | 'user_id' | 'expires_at'>,
): Promise<IssuedToken> {
  const token = newToken();
  const row = await db
    .insertInto('api_tokens')
    .values({
      ...content,
      id: uuidv7(),
      organization_id: scope.organizationId,
      prefix: tokenPrefix(token),
      hash: tokenHash(token),
      last_used_at: null,
      created_at: timeOf(),
      revoked_at: null,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  return { row, token };
}

export interface TokenHolder {
  readonly scope: OrganizationScope;
  readonly tokenId: string;
  readonly userId: string | null;
  /** Of the token, and never more than its user has. */
  readonly role: Role;
}

/** Who comes with this token; null where it is unknown, expired or revoked, or its user was disabled or removed. */
export async function findTokenHolder(
  db: MetadataDb,
  token: string,
  nowMs: number = Date.now(),
): Promise<TokenHolder | null> {
  if (!isTokenText(token)) return null;
  const hash = tokenHash(token);
  const row = await db
    .selectFrom('api_tokens')
    .leftJoin('users', (join) =>
      join
        .onRef('users.id', '=', 'api_tokens.user_id')
        .onRef('users.organization_id', '=', 'api_tokens.organization_id'),
    )
    .selectAll('api_tokens')
    .select(['users.role as user_role', 'users.disabled_at'])
    .where('hash', '=', hash)
    .executeTakeFirst();
  if (row === undefined || !timingSafeEqual(Buffer.from(row.hash), Buffer.from(hash))) return null;
  if (row.revoked_at !== null) return null;
  if (row.expires_at !== null && Date.parse(row.expires_at) <= nowMs) return null;
  const isUserGone = row.user_id !== null && (row.user_role === null || row.disabled_at !== null);
  if (isUserGone) return null;
  await noteUse(db, row, nowMs);
  return {
    scope: scopeOf(row.organization_id),
    tokenId: row.id,
    userId: row.user_id,
    role: row.user_role === null ? row.role : lesserRole(row.role, row.user_role),
  };
}

async function noteUse(db: MetadataDb, row: ApiTokensTable, nowMs: number): Promise<void> {
  const noted = row.last_used_at;
  if (noted !== null && nowMs - Date.parse(noted) < USE_NOTED_MS) return;
  await db
    .updateTable('api_tokens')
    .set({ last_used_at: timeOf(nowMs) })
    .where('organization_id', '=', row.organization_id)
    .where('id', '=', row.id)
    // Of several requests at once one writes.
    .where('last_used_at', noted === null ? 'is' : '=', noted)
    .execute();
}

export async function findApiToken(
  db: MetadataDb,
  scope: OrganizationScope,
  id: string,
): Promise<ApiTokensTable | null> {
  const row = await db
    .selectFrom('api_tokens')
    .selectAll()
    .where('organization_id', '=', scope.organizationId)
    .where('id', '=', id)
    .executeTakeFirst();
  return row ?? null;
}

export function listApiTokens(
  db: MetadataDb,
  scope: OrganizationScope,
  page: Page,
): Promise<ApiTokensTable[]> {
  return db
    .selectFrom('api_tokens')
    .selectAll()
    .where('organization_id', '=', scope.organizationId)
    .where(isAfter('created_at', page.after))
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(page.limit)
    .execute();
}

/** Again is the same. Throws `not_found`. */
export async function revokeApiToken(
  db: MetadataDb,
  scope: OrganizationScope,
  id: string,
): Promise<ApiTokensTable> {
  const row = await db
    .updateTable('api_tokens')
    .set((set) => ({ revoked_at: set.fn.coalesce('revoked_at', set.val(timeOf())) }))
    .where('organization_id', '=', scope.organizationId)
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirst();
  if (row === undefined) throw notFound('token', id);
  return row;
}
