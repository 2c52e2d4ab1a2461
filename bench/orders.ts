/** The table and the change mix that all measurements share. */
import type { RunningServer } from '../test/support/servers.ts';

const COLUMNS = `customer_id int4, token uuid, status text, amount numeric(12,2), weight float8,
  created_at timestamptz, due date, paid bool, note text, meta jsonb`;

export function ordersTable(key: boolean): string {
  return `CREATE TABLE orders (id int8 ${key ? 'PRIMARY KEY' : ''}, ${COLUMNS})`;
}

/** A row of eleven columns from its number, about 190 bytes; some values are NULL, some need escaping in text. */
function orderRow(g: string): string {
  return `${g}, (${g}::int8 * 7919) % 100000, md5(${g}::text)::uuid,
  (array['new','paid','shipped','done'])[1 + ${g} % 4], (${g} % 1000000) / 100.0,
  CASE WHEN ${g} % 5 = 0 THEN NULL ELSE ${g} / 3.0 END, timestamptz '2024-01-01' + ${g} * interval '1 second',
  CASE WHEN ${g} % 7 = 0 THEN NULL ELSE date '2024-01-01' + (${g} % 365)::int END, ${g} % 2 = 0,
  CASE WHEN ${g} % 3 = 0 THEN NULL WHEN ${g} % 1000 = 1 THEN E'tab\\there\\\\back'
    ELSE 'note for order ' || ${g} || ' ' || repeat('x', (${g} % 40)::int) END,
  CASE WHEN ${g} % 4 = 0 THEN NULL ELSE jsonb_build_object('k', ${g}, 'tags', array['a','b']) END`;
}

export function insertOrders(from: number, to: number): string {
  return `INSERT INTO orders SELECT ${orderRow('g')} FROM generate_series(${from}, ${to}) g`;
}

export async function loadOrders(
  server: RunningServer,
  database: string,
  rows: number,
): Promise<void> {
  await server.query(database, ordersTable(true));
  await server.query(database, insertOrders(1, rows));
  await server.query(database, 'VACUUM ANALYZE orders');
}

/**
 * `transactions` transactions of 600 inserts, 300 updates and 100 deletes each; updates and deletes hit rows
 * that earlier transactions inserted.
 */
export function changeMix(transactions: number): string {
  return `DO $$ DECLARE base int8;
  BEGIN FOR t IN 0..${transactions - 1} LOOP
    base := t * 600;
    INSERT INTO orders SELECT ${orderRow('g')} FROM generate_series(base + 1, base + 600) g;
    UPDATE orders SET amount = amount + 1, status = 'changed', note = 'updated in ' || t
      WHERE id IN (SELECT 1 + (base + 600 - 1 - (i * 37)) FROM generate_series(1, 600) i
        WHERE (i * 37) < base + 600 AND (base + 600 - (i * 37)) % 6 <> 1 LIMIT 300);
    DELETE FROM orders WHERE id IN (SELECT base - 600 + i * 6 + 1 FROM generate_series(0, 99) i);
    COMMIT;
  END LOOP; END $$`;
}

/** Every row of 1..rows updated once, in transactions of 1000. */
export function distinctUpdates(rows: number): string {
  return `DO $$ BEGIN FOR t IN 0..${Math.ceil(rows / 1000) - 1} LOOP
    UPDATE orders SET amount = amount + 1, status = 'changed' WHERE id > t * 1000 AND id <= (t + 1) * 1000;
    COMMIT;
  END LOOP; END $$`;
}
