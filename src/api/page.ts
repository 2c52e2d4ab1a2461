/** Pages of lists, newest first. */
import type { Page, PageKey } from '../metadata/page.ts';
import { readCursor, writeCursor } from './cursor.ts';
import type { Call } from './route.ts';

export interface PageQuery {
  readonly limit: number;
  readonly cursor?: string | undefined;
}

type PageCall = Call<unknown, PageQuery, unknown>;

/** A cursor is of one list: address, organisation and filters. */
function purposeOf(list: string, { caller, query }: PageCall): string {
  const { cursor: _, limit: __, ...filters } = query;
  return JSON.stringify([list, caller.scope.organizationId, filters]);
}

/** One row more than is answered, to know whether there is another page. */
export function pageOf(list: string, call: PageCall): Page {
  const { cursor, limit } = call.query;
  const key = call.context.signingKey;
  const after = cursor === undefined ? null : readCursor(key, purposeOf(list, call), cursor);
  return { after, limit: limit + 1 };
}

export function cursorAt(list: string, call: PageCall, position: PageKey | null): string | null {
  if (position === null) return null;
  return writeCursor(call.context.signingKey, purposeOf(list, call), position);
}

export interface Listed<T> {
  readonly rows: readonly T[];
  readonly nextCursor: string | null;
}

/** Of rows that were read by `pageOf`. */
export function listed<T extends { readonly id: string; readonly created_at: string }>(
  list: string,
  call: PageCall,
  found: readonly T[],
): Listed<T> {
  const rows = found.slice(0, call.query.limit);
  const last = found.length > rows.length ? rows.at(-1) : undefined;
  const position = last === undefined ? null : { sort: last.created_at, id: last.id };
  return { rows, nextCursor: cursorAt(list, call, position) };
}

/** Of a list that is at hand as a whole. An entry that is gone by then is where its neighbours were. */
export function listedOf<T>(
  list: string,
  call: PageCall,
  all: readonly T[],
  keyOf: (entry: T) => string,
): Listed<T> {
  const { after } = pageOf(list, call);
  const at = after === null ? -1 : all.findIndex((entry) => keyOf(entry) === after.id);
  const start = at >= 0 ? at + 1 : Number(after?.sort ?? 0);
  const end = start + call.query.limit;
  const rows = all.slice(start, end);
  const last = end < all.length ? rows.at(-1) : undefined;
  const position = last === undefined ? null : { sort: String(end - 1), id: keyOf(last) };
  return { rows, nextCursor: cursorAt(list, call, position) };
}
