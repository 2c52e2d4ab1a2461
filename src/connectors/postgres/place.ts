import type { PgConnection } from './connection.ts';

/**
 * A database of one running server. A copy of the server's files has the same system identifier, and so has a standby;
 * neither was started at the same microsecond.
 */
export async function placeOf(connection: PgConnection): Promise<string> {
  const { rows } = await connection.query(
    `SELECT CASE WHEN pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')
         THEN (SELECT c.system_identifier::text FROM pg_catalog.pg_control_system() c) END,
       pg_catalog.date_part('epoch', pg_catalog.pg_postmaster_start_time())::text,
       (SELECT d.oid::text FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())`,
  );
  return `postgres ${rows[0]?.join(' ') ?? ''}`;
}
