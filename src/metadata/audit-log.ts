/** Who changed what. Each row's hash covers the row before, so that nothing can be changed or taken out unseen. */
import { createHash } from 'node:crypto';
import type { MetadataDb } from './database.ts';
import type { OrganizationScope } from './scope.ts';
import type { AuditLogTable } from './tables.ts';
import { lockUntilCommit, type MetadataTransaction, timeOf } from './transaction.ts';

const BEFORE_THE_FIRST = '0'.repeat(64);
const ROWS_A_PAGE = 1000;

export type AuditEntry = Pick<
  AuditLogTable,
  'actor' | 'action' | 'resource_type' | 'resource_id' | 'details' | 'address'
>;

type Hashed = AuditEntry & Pick<AuditLogTable, 'organization_id' | 'timestamp'>;
export type AuditRow = Omit<AuditLogTable, 'id'> & { readonly id: number };

function hashOf(before: string, row: Hashed): string {
  const fields = [
    before,
    row.organization_id,
    row.actor,
    row.action,
    row.resource_type,
    row.resource_id,
    row.details,
    row.address,
    row.timestamp,
  ];
  return createHash('sha256').update(JSON.stringify(fields)).digest('hex');
}

/** In the transaction of the change, as late as can be: writers of one organisation wait for each other from here on. */
export async function appendAudit(
  transaction: MetadataTransaction,
  scope: OrganizationScope,
  entry: AuditEntry,
): Promise<void> {
  await lockUntilCommit(transaction, `audit:${scope.organizationId}`);
  const before = await transaction
    .selectFrom('audit_log')
    .select('hash')
    .where('organization_id', '=', scope.organizationId)
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst();
  const row = {
    actor: entry.actor,
    action: entry.action,
    resource_type: entry.resource_type,
    resource_id: entry.resource_id,
    details: entry.details,
    address: entry.address,
    organization_id: scope.organizationId,
    timestamp: timeOf(),
  };
  await transaction
    .insertInto('audit_log')
    .values({ ...row, hash: hashOf(before?.hash ?? BEFORE_THE_FIRST, row) })
    .execute();
}

/** Newest first, before the id of the last one that was seen. */
export function listAudit(
  db: MetadataDb,
  scope: OrganizationScope,
  page: { readonly before: number | null; readonly limit: number },
): Promise<AuditRow[]> {
  return db
    .selectFrom('audit_log')
    .selectAll()
    .where('organization_id', '=', scope.organizationId)
    .where('id', '<', page.before ?? Number.MAX_SAFE_INTEGER)
    .orderBy('id', 'desc')
    .limit(page.limit)
    .execute();
}

export interface AuditVerdict {
  readonly rows: number;
  /** The first row that does not follow from those before it; null where all do. */
  readonly brokenAt: number | null;
  /** Hash of the last row. Kept elsewhere, it shows later whether rows were cut off at the end. */
  readonly head: string;
}

/** Reads the whole log of the organisation. */
export async function verifyAudit(db: MetadataDb, scope: OrganizationScope): Promise<AuditVerdict> {
  let head = BEFORE_THE_FIRST;
  let rows = 0;
  let after = 0;
  for (;;) {
    const page = await db
      .selectFrom('audit_log')
      .selectAll()
      .where('organization_id', '=', scope.organizationId)
      .where('id', '>', after)
      .orderBy('id')
      .limit(ROWS_A_PAGE)
      .execute();
    for (const row of page) {
      if (hashOf(head, row) !== row.hash) return { rows, brokenAt: row.id, head };
      head = row.hash;
      rows += 1;
      after = row.id;
    }
    if (page.length < ROWS_A_PAGE) return { rows, brokenAt: null, head };
  }
}
