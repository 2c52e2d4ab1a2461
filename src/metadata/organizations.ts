import { uuidv7 } from '../core/uuid.ts';
import type { MetadataDb } from './database.ts';
import { orTaken } from './failures.ts';
import type { OrganizationScope } from './scope.ts';
import type { OrganizationsTable } from './tables.ts';
import { timeOf } from './transaction.ts';

/** Without a scope: it is what a scope is made of. Throws `already_exists`. */
export function createOrganization(db: MetadataDb, name: string): Promise<OrganizationsTable> {
  const insert = db
    .insertInto('organizations')
    .values({ id: uuidv7(), name, created_at: timeOf() })
    .returningAll()
    .executeTakeFirstOrThrow();
  return orTaken(insert, `an organisation named ${name}`);
}

export async function findOrganization(
  db: MetadataDb,
  scope: OrganizationScope,
): Promise<OrganizationsTable | null> {
  const row = await db
    .selectFrom('organizations')
    .selectAll()
    .where('id', '=', scope.organizationId)
    .executeTakeFirst();
  return row ?? null;
}

/** Throws `already_exists`. */
export async function renameOrganization(
  db: MetadataDb,
  scope: OrganizationScope,
  name: string,
): Promise<OrganizationsTable | null> {
  const write = db
    .updateTable('organizations')
    .set({ name })
    .where('id', '=', scope.organizationId)
    .returningAll()
    .executeTakeFirst();
  return (await orTaken(write, `an organisation named ${name}`)) ?? null;
}

/** Of all there are, for the server itself. */
export function allOrganizations(db: MetadataDb): Promise<OrganizationsTable[]> {
  return db.selectFrom('organizations').selectAll().orderBy('id').execute();
}
