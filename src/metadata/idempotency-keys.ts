import { ForebayError } from '../core/errors.ts';
import type { MetadataDb } from './database.ts';
import type { OrganizationScope } from './scope.ts';
import type { Json, Time } from './tables.ts';
import { inTransaction, lockUntilCommit, type MetadataTransaction, timeOf } from './transaction.ts';

export interface KeyedRequest {
  readonly key: string;
  readonly method: string;
  readonly path: string;
  /** SHA-256 of the body, hexadecimal. */
  readonly bodyHash: string;
}

export interface KeyedAnswer {
  readonly status: number;
  readonly response: Json;
}

/**
 * Does something once for a key: the answer is recorded in the transaction of its effect, and who asks again gets it.
 * Nothing is recorded when `act` throws. `act` uses the transaction that it is given, and no other way to the database. Throws `idempotency_mismatch` for another request under the same key.
 */
export function once(
  db: MetadataDb,
  scope: OrganizationScope,
  request: KeyedRequest,
  act: (transaction: MetadataTransaction) => Promise<KeyedAnswer>,
): Promise<KeyedAnswer & { readonly repeated: boolean }> {
  const { key, method, path, bodyHash } = request;
  return inTransaction(db, async (transaction) => {
    await lockUntilCommit(transaction, `idempotency:${scope.organizationId}:${key}`);
    const known = await transaction
      .selectFrom('idempotency_keys')
      .selectAll()
      .where('organization_id', '=', scope.organizationId)
      .where('key', '=', key)
      .executeTakeFirst();
    if (known !== undefined) {
      const isSame = known.method === method && known.path === path && known.body_hash === bodyHash;
      if (isSame) return { status: known.status, response: known.response, repeated: true };
      throw new ForebayError('idempotency_mismatch', {
        message: `the key was used for another request (${known.method} ${known.path})`,
      });
    }
    const { status, response } = await act(transaction);
    await transaction
      .insertInto('idempotency_keys')
      .values({
        organization_id: scope.organizationId,
        key,
        method,
        path,
        body_hash: bodyHash,
        status,
        response,
        created_at: timeOf(),
      })
      .execute();
    return { status, response, repeated: false };
  });
}

/** Of all organisations. A key that is forgotten may be used anew. */
export async function forgetIdempotencyKeys(db: MetadataDb, before: Time): Promise<number> {
  const { numDeletedRows } = await db
    .deleteFrom('idempotency_keys')
    .where('created_at', '<', before)
    .executeTakeFirst();
  return Number(numDeletedRows);
}
