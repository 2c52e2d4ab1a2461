/** Who asks: the token of the request, and nothing else. */
import type { IncomingHttpHeaders } from 'node:http';
import { ForebayError } from '../core/errors.ts';
import { findTokenHolder } from '../metadata/api-tokens.ts';
import type { ApiContext, Caller } from './route.ts';

const BEARER = /^bearer +([\x21-\x7e]{1,200})$/i;

/** Fails with `unauthenticated`. */
export async function authenticate(
  context: ApiContext,
  headers: IncomingHttpHeaders,
  address: string,
): Promise<Caller> {
  const token = BEARER.exec(headers.authorization ?? '')?.[1];
  if (token === undefined) {
    throw new ForebayError('unauthenticated', { message: 'The request carries no token' });
  }
  const holder = await findTokenHolder(context.db, token);
  if (holder === null) {
    throw new ForebayError('unauthenticated', { message: 'The token is not valid' });
  }
  const { scope, tokenId, userId, role } = holder;
  const actor = userId === null ? `token:${tokenId}` : `user:${userId}`;
  return { scope, tokenId, userId, role, actor, address };
}
