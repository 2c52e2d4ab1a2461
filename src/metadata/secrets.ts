/**
 * Secrets of an organisation are sealed under its data key, which is kept wrapped by a key of the environment.
 * A sealed text is `1.<data key id>.<sealed>`, bound to organisation, secret id and version of the data key.
 */
import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { ForebayError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import { uuidv7 } from '../core/uuid.ts';
import type { MetadataDb } from './database.ts';
import { boundTo, seal, unseal } from './envelope.ts';
import { scopeOf, type OrganizationScope } from './scope.ts';
import type { DataKeysTable } from './tables.ts';
import {
  inTransaction,
  lockUntilCommit,
  type MetadataTransaction,
  shareUntilCommit,
  timeOf,
} from './transaction.ts';
import { KEY_BYTES, type WrappingKey, type WrappingKeys } from './wrapping-keys.ts';

const FORMAT = '1';
const fieldsSchema = z.record(z.string(), z.string());

interface DataKey {
  readonly id: string;
  readonly version: number;
  readonly key: KeyObject;
}

const lockName = (scope: OrganizationScope): string => `secrets:${scope.organizationId}`;

/** In the transaction that stores what comes back, so that no rotation passes between. */
export async function sealSecrets(
  transaction: MetadataTransaction,
  scope: OrganizationScope,
  {
    keys,
    secretId,
    secrets,
  }: {
    readonly keys: WrappingKeys;
    readonly secretId: string;
    readonly secrets: Readonly<Record<string, string>>;
  },
): Promise<string> {
  await shareUntilCommit(transaction, lockName(scope));
  const row = (await newestKey(transaction, scope)) ?? (await firstKey(transaction, scope, keys));
  return sealWith(openKey(row, keys), scope, { secretId, secrets });
}

/**
 * For who has read the data keys of the organisation together with what was sealed. Throws `secret_key` where the
 * wrapping key is another one, or the text belongs elsewhere.
 */
export function openSealed(
  dataKeys: readonly DataKeysTable[],
  scope: OrganizationScope,
  {
    keys,
    secretId,
    sealed,
  }: {
    readonly keys: WrappingKeys;
    readonly secretId: string;
    readonly sealed: string;
  },
): Readonly<Record<string, Secret>> {
  const [, keyId = ''] = sealed.split('.');
  const row = dataKeys.find(({ id }) => id === keyId);
  if (row === undefined) throw unreadable(secretId, 'its data key is not there');
  const fields = openWith(openKey(row, keys), scope, { secretId, sealed });
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, new Secret(value)]),
  );
}

/** A new data key, under which everything is sealed anew; the former ones are gone afterwards. */
export function rotate(
  db: MetadataDb,
  scope: OrganizationScope,
  keys: WrappingKeys,
): Promise<{ readonly resealed: number }> {
  return inTransaction(db, async (transaction) => {
    await lockUntilCommit(transaction, lockName(scope));
    const former = await transaction
      .selectFrom('data_keys')
      .selectAll()
      .where('organization_id', '=', scope.organizationId)
      .execute();
    const opened = new Map(former.map((row) => [row.id, openKey(row, keys)]));
    const version = Math.max(0, ...former.map((row) => row.version)) + 1;
    const key = openKey(await addKey(transaction, scope, { keys, version }), keys);
    const rows = await transaction
      .selectFrom('connections')
      .select(['id', 'secrets'])
      .where('organization_id', '=', scope.organizationId)
      .execute();
    for (const { id, secrets: sealed } of rows) {
      const before = opened.get(sealed.split('.')[1] ?? '');
      if (before === undefined) throw unreadable(id, 'its data key is not there');
      const secrets = openWith(before, scope, { secretId: id, sealed });
      await transaction
        .updateTable('connections')
        .set({ secrets: sealWith(key, scope, { secretId: id, secrets }) })
        .where('organization_id', '=', scope.organizationId)
        .where('id', '=', id)
        .execute();
    }
    await transaction
      .deleteFrom('data_keys')
      .where('organization_id', '=', scope.organizationId)
      .where('id', '!=', key.id)
      .execute();
    return { resealed: rows.length };
  });
}

/** Wraps the data keys of all organisations by the current wrapping key; what they sealed stays as it is. */
export function rewrap(
  db: MetadataDb,
  keys: WrappingKeys,
): Promise<{ readonly rewrapped: number }> {
  return inTransaction(db, async (transaction) => {
    // Of servers that start together each would wait for rows of the other.
    await lockUntilCommit(transaction, 'secrets-rewrap');
    const rows = await transaction
      .selectFrom('data_keys')
      .selectAll()
      .where('wrapping_key_id', '!=', keys.current.id)
      .execute();
    for (const row of rows) {
      const wrapped = wrap(keys.current, row, openKey(row, keys).key);
      await transaction
        .updateTable('data_keys')
        .set({ wrapped_key: wrapped, wrapping_key_id: keys.current.id })
        .where('organization_id', '=', row.organization_id)
        .where('id', '=', row.id)
        .execute();
    }
    return { rewrapped: rows.length };
  });
}

/** Throws `secret_key` unless every data key opens: a server asks at its start, not at the first use. */
export async function checkDataKeys(db: MetadataDb, keys: WrappingKeys): Promise<void> {
  for (const row of await db.selectFrom('data_keys').selectAll().execute()) openKey(row, keys);
}

async function newestKey(
  db: MetadataDb,
  scope: OrganizationScope,
): Promise<DataKeysTable | undefined> {
  return db
    .selectFrom('data_keys')
    .selectAll()
    .where('organization_id', '=', scope.organizationId)
    .orderBy('version', 'desc')
    .executeTakeFirst();
}

/** Of two that find none at the same time one makes it, and the other takes that one. */
async function firstKey(
  transaction: MetadataTransaction,
  scope: OrganizationScope,
  keys: WrappingKeys,
): Promise<DataKeysTable> {
  await lockUntilCommit(transaction, `secrets-first:${scope.organizationId}`);
  return (
    (await newestKey(transaction, scope)) ??
    (await addKey(transaction, scope, { keys, version: 1 }))
  );
}

function addKey(
  transaction: MetadataTransaction,
  scope: OrganizationScope,
  { keys, version }: { readonly keys: WrappingKeys; readonly version: number },
): Promise<DataKeysTable> {
  const named = { id: uuidv7(), organization_id: scope.organizationId, version };
  const key = createSecretKey(randomBytes(KEY_BYTES));
  return transaction
    .insertInto('data_keys')
    .values({
      ...named,
      wrapping_key_id: keys.current.id,
      wrapped_key: wrap(keys.current, named, key),
      created_at: timeOf(),
    })
    .returningAll()
    .executeTakeFirstOrThrow();
}

type KeyName = Pick<DataKeysTable, 'id' | 'organization_id' | 'version'>;

function boundKey(row: KeyName): Buffer {
  return boundTo('data key', row.organization_id, row.id, String(row.version));
}

function wrap(by: WrappingKey, row: KeyName, key: KeyObject): string {
  return seal(by.key, key.export(), boundKey(row));
}

function openKey(row: DataKeysTable, keys: WrappingKeys): DataKey {
  const by = [keys.current, ...keys.former].find(({ id }) => id === row.wrapping_key_id);
  if (by === undefined)
    throw new ForebayError('secret_key', {
      message: `stored secrets were sealed with the key ${row.wrapping_key_id}, and the key that is set is ${keys.current.id}`,
    });
  const bytes = unseal(by.key, row.wrapped_key, boundKey(row));
  if (bytes?.length !== KEY_BYTES)
    throw new ForebayError('secret_key', {
      message: `the data key ${row.id} is damaged, or belongs to another organisation`,
    });
  return { id: row.id, version: row.version, key: createSecretKey(bytes) };
}

function sealWith(
  key: DataKey,
  scope: OrganizationScope,
  what: { readonly secretId: string; readonly secrets: Readonly<Record<string, string>> },
): string {
  const plain = Buffer.from(JSON.stringify(what.secrets));
  return [FORMAT, key.id, seal(key.key, plain, boundSecret(key, scope, what.secretId))].join('.');
}

function openWith(
  key: DataKey,
  scope: OrganizationScope,
  what: { readonly secretId: string; readonly sealed: string },
): Record<string, string> {
  const [format, , body = ''] = what.sealed.split('.');
  if (format !== FORMAT) throw unreadable(what.secretId, 'its format is unknown');
  const plain = unseal(key.key, body, boundSecret(key, scope, what.secretId));
  if (plain === null) throw unreadable(what.secretId, 'it is damaged, or belongs elsewhere');
  return fieldsSchema.parse(JSON.parse(plain.toString()));
}

function boundSecret(key: DataKey, scope: OrganizationScope, secretId: string): Buffer {
  return boundTo('secret', scope.organizationId, secretId, String(key.version));
}

function unreadable(secretId: string, why: string): ForebayError {
  return new ForebayError('secret_key', { message: `the secret ${secretId} cannot be read`, why });
}

/** Every organisation that has secrets, for a rotation of all. */
export async function organizationsWithSecrets(db: MetadataDb): Promise<OrganizationScope[]> {
  const rows = await db.selectFrom('data_keys').select('organization_id').distinct().execute();
  return rows.map((row) => scopeOf(row.organization_id));
}
