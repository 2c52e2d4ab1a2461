import { sql } from 'kysely';
import { ForebayError } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';
import { uuidv7 } from '../core/uuid.ts';
import type { MetadataDb } from './database.ts';
import { notFound, orTaken, unchanged } from './failures.ts';
import { isAfter, type Page } from './page.ts';
import type { OrganizationScope } from './scope.ts';
import { openSealed, sealSecrets } from './secrets.ts';
import type { ConnectionStatus, ConnectionsTable, Json } from './tables.ts';
import { inTransaction, lockUntilCommit, type MetadataTransaction, timeOf } from './transaction.ts';
import type { WrappingKeys } from './wrapping-keys.ts';

export interface NewConnection {
  readonly name: string;
  readonly connector_type: string;
  /** Without what is secret. */
  readonly config: Json;
  readonly secrets: Readonly<Record<string, string>>;
}

export interface ConnectionChanges {
  readonly name?: string;
  readonly config?: Json;
  /** Fields that are not named stay; null takes one away. */
  readonly secrets?: Readonly<Record<string, string | null>>;
}

export function createConnection(
  db: MetadataDb,
  scope: OrganizationScope,
  connection: NewConnection & { readonly id?: string },
  keys: WrappingKeys,
): Promise<ConnectionsTable> {
  const { secrets, id = uuidv7(), ...rest } = connection;
  const now = timeOf();
  return inTransaction(db, async (transaction) => {
    const sealed = await sealSecrets(transaction, scope, { keys, secretId: id, secrets });
    const insert = transaction
      .insertInto('connections')
      .values({
        ...rest,
        id,
        organization_id: scope.organizationId,
        secrets: sealed,
        status: 'pending',
        last_test_at: null,
        last_test_result: null,
        version: 1,
        created_at: now,
        updated_at: now,
      })
      .returningAll()
      .executeTakeFirstOrThrow();
    return orTaken(insert, `a connection named ${rest.name}`);
  });
}

export async function findConnection(
  db: MetadataDb,
  scope: OrganizationScope,
  id: string,
): Promise<ConnectionsTable | null> {
  const row = await db
    .selectFrom('connections')
    .selectAll()
    .where('organization_id', '=', scope.organizationId)
    .where('id', '=', id)
    .executeTakeFirst();
  return row ?? null;
}

export function listConnections(
  db: MetadataDb,
  scope: OrganizationScope,
  page: Page,
): Promise<ConnectionsTable[]> {
  return db
    .selectFrom('connections')
    .selectAll()
    .where('organization_id', '=', scope.organizationId)
    .where(isAfter('created_at', page.after))
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(page.limit)
    .execute();
}

/**
 * Its secret fields as they are now; each is revealed where it goes onto the wire. One statement reads them and their
 * key, so that a rotation is either before or after it.
 */
export async function connectionSecrets(
  db: MetadataDb,
  scope: OrganizationScope,
  id: string,
  keys: WrappingKeys,
): Promise<Readonly<Record<string, Secret>>> {
  const rows = await db
    .selectFrom('connections')
    .innerJoin('data_keys', 'data_keys.organization_id', 'connections.organization_id')
    .selectAll('data_keys')
    .select('connections.secrets')
    .where('connections.organization_id', '=', scope.organizationId)
    .where('connections.id', '=', id)
    .execute();
  const [first] = rows;
  if (first === undefined) throw notFound('connection', id);
  return openSealed(rows, scope, { keys, secretId: id, sealed: first.secrets });
}

/** What was changed is to be tested anew. Throws `version_stale`, `not_found`, `already_exists`. */
export function updateConnection(
  db: MetadataDb,
  scope: OrganizationScope,
  update: {
    readonly id: string;
    readonly version: number;
    readonly changes: ConnectionChanges;
  },
  keys: WrappingKeys,
): Promise<ConnectionsTable> {
  const { id, version, changes } = update;
  const { secrets, ...rest } = changes;
  return inTransaction(db, async (transaction) => {
    const now = await findConnection(transaction, scope, id);
    if (now === null || now.version !== version) throw unchanged('connection', id, now);
    const sealed =
      secrets === undefined ? null : await resealed(transaction, scope, { now, secrets, keys });
    const reset = secrets !== undefined || rest.config !== undefined;
    const write = transaction
      .updateTable('connections')
      .set({ ...rest, version: version + 1, updated_at: timeOf() })
      .$if(sealed !== null, (query) => query.set({ secrets: sealed ?? '' }))
      .$if(reset, (query) => query.set({ status: 'pending' }))
      .where('organization_id', '=', scope.organizationId)
      .where('id', '=', id)
      .where('version', '=', version)
      .returningAll()
      .executeTakeFirst();
    const row = await orTaken(write, `a connection named ${rest.name ?? now.name}`);
    if (row === undefined)
      throw unchanged('connection', id, await findConnection(transaction, scope, id));
    return row;
  });
}

async function resealed(
  transaction: MetadataTransaction,
  scope: OrganizationScope,
  change: {
    readonly now: ConnectionsTable;
    readonly secrets: Readonly<Record<string, string | null>>;
    readonly keys: WrappingKeys;
  },
): Promise<string> {
  const { now, keys } = change;
  const fields = new Map<string, string>();
  for (const [name, value] of Object.entries(
    await connectionSecrets(transaction, scope, now.id, keys),
  ))
    fields.set(name, value.reveal());
  for (const [name, value] of Object.entries(change.secrets)) {
    if (value === null) fields.delete(name);
    else fields.set(name, value);
  }
  const secrets = Object.fromEntries(fields);
  return sealSecrets(transaction, scope, { keys, secretId: now.id, secrets });
}

/** Not a change of the connection: its version stays. */
export async function recordConnectionTest(
  db: MetadataDb,
  scope: OrganizationScope,
  test: {
    readonly id: string;
    readonly status: ConnectionStatus;
    readonly result: Json;
    readonly at: string;
  },
): Promise<void> {
  const { numUpdatedRows } = await db
    .updateTable('connections')
    .set({ status: test.status, last_test_result: test.result, last_test_at: test.at })
    .where('organization_id', '=', scope.organizationId)
    .where('id', '=', test.id)
    .executeTakeFirst();
  if (numUpdatedRows === 0n) throw notFound('connection', test.id);
}

/** Throws `in_use` while pipelines name it. */
export function deleteConnection(
  db: MetadataDb,
  scope: OrganizationScope,
  connection: { readonly id: string; readonly version: number },
): Promise<void> {
  const { id, version } = connection;
  return inTransaction(db, async (transaction) => {
    await lockConfiguration(transaction, scope);
    const now = await findConnection(transaction, scope, id);
    if (now === null || now.version !== version) throw unchanged('connection', id, now);
    const user = await transaction
      .selectFrom('pipelines')
      .select('name')
      .where('organization_id', '=', scope.organizationId)
      .where(
        sql<boolean>`(${sql.ref('source_connection_id')} = ${id} or ${sql.ref('destination_connection_id')} = ${id})`,
      )
      .executeTakeFirst();
    if (user !== undefined)
      throw new ForebayError('in_use', {
        message: `the pipeline ${user.name} uses the connection ${now.name}`,
      });
    const { numDeletedRows } = await transaction
      .deleteFrom('connections')
      .where('organization_id', '=', scope.organizationId)
      .where('id', '=', id)
      .where('version', '=', version)
      .executeTakeFirst();
    if (numDeletedRows === 0n)
      throw unchanged('connection', id, await findConnection(transaction, scope, id));
  });
}

/** Who names something, and who takes it away, do not do so at once. */
export function lockConfiguration(
  transaction: MetadataTransaction,
  scope: OrganizationScope,
): Promise<void> {
  return lockUntilCommit(transaction, `configuration:${scope.organizationId}`);
}
