// Rows that tests of the metadata database need before they can begin.
import { createConnection, type NewConnection } from '../../src/metadata/connections.ts';
import type { MetadataDb } from '../../src/metadata/database.ts';
import { createPipeline, type NewPipeline } from '../../src/metadata/pipelines.ts';
import type { OrganizationScope } from '../../src/metadata/scope.ts';
import type { ConnectionsTable, PipelinesTable } from '../../src/metadata/tables.ts';
import { testKeys } from './metadata-stores.ts';

let made = 0;
export const freshName = (what: string): string => `${what} ${(made += 1)}`;

export function aConnection(
  db: MetadataDb,
  scope: OrganizationScope,
  content: Partial<NewConnection> = {},
): Promise<ConnectionsTable> {
  const connection = {
    name: freshName('connection'),
    connector_type: 'postgres',
    config: '{"host":"db"}',
    secrets: { password: 'open sesame' },
  };
  return createConnection(db, scope, { ...connection, ...content }, testKeys);
}

export async function aPipeline(
  db: MetadataDb,
  scope: OrganizationScope,
  content: Partial<NewPipeline> = {},
): Promise<PipelinesTable> {
  const source = content.source_connection_id ?? (await aConnection(db, scope)).id;
  return createPipeline(db, scope, {
    name: freshName('pipeline'),
    source_connection_id: source,
    destination_connection_id: source,
    kind: 'etl',
    config: '{}',
    is_active: 1,
    streams: [],
    ...content,
  });
}
