/** Who may come in, and the keys of what is secret. Part of `tables.ts`. */
import type { Time } from './column-types.ts';

export interface OrganizationsTable {
  id: string;
  name: string;
  created_at: Time;
}

export type Role = 'viewer' | 'operator' | 'editor' | 'admin';

export interface UsersTable {
  id: string;
  organization_id: string;
  /** Lower case; unique over all organisations. */
  email: string;
  /** `scrypt$N$r$p$salt$hash`; null for users that cannot log in by password. */
  password_hash: string | null;
  role: Role;
  created_at: Time;
  disabled_at: Time | null;
}

export interface ApiTokensTable {
  id: string;
  organization_id: string;
  user_id: string | null;
  name: string;
  /** First characters, for people to tell tokens apart. */
  prefix: string;
  /** SHA-256, hexadecimal. */
  hash: string;
  role: Role;
  expires_at: Time | null;
  last_used_at: Time | null;
  created_at: Time;
  revoked_at: Time | null;
}

export interface SetupTokensTable {
  hash: string;
  expires_at: Time;
  used_at: Time | null;
}

/** Data keys, one current per organisation, each wrapped by a key of the environment. */
export interface DataKeysTable {
  id: string;
  organization_id: string;
  version: number;
  /** Names the wrapping key, so that several may be known at once. */
  wrapping_key_id: string;
  wrapped_key: string;
  created_at: Time;
}
