/** Lists are read newest first, by time and id: a page goes on where the one before ended, whatever came meanwhile. */
import { type RawBuilder, sql } from 'kysely';

const DAY_MS = 86_400_000;

export interface PageKey {
  /** The time that the list is sorted by, of the last row that was seen. */
  readonly sort: string;
  readonly id: string;
}

export interface Page {
  readonly after: PageKey | null;
  readonly limit: number;
}

/** Rows that come after the key, in a list that is sorted by the column and the id, both descending. */
export function isAfter(column: string, key: PageKey | null): RawBuilder<boolean> {
  if (key === null) return sql<boolean>`1 = 1`;
  return sql<boolean>`(${sql.ref(column)}, ${sql.ref('id')}) < (${key.sort}, ${key.id})`;
}

/** The first moment of a day, or of one after it. */
export function dayOf(date: string, later: number): string {
  return new Date(Date.parse(`${date}T00:00:00.000Z`) + later * DAY_MS).toISOString();
}
