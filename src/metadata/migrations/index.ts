/** In their order; one that was released is never changed. */
import type { Kysely } from 'kysely';
import { up as controlPlane } from './0001-control-plane.ts';

export interface MetadataMigration {
  readonly name: string;
  readonly up: (db: Kysely<unknown>, dialect: 'sqlite' | 'postgres') => Promise<void>;
}

export const MIGRATIONS: readonly MetadataMigration[] = [
  { name: '0001-control-plane', up: controlPlane },
];
