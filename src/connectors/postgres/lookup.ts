/** Current rows by key, for the few updates whose row was not where it should be. */
import { ForebayError } from '../../core/errors.ts';
import { OP_READ, type RowBatch, RowBatchBuilder, rowStride } from '../../core/row-batch.ts';
import type { StreamSchema } from '../../core/stream-schema.ts';
import { asTableHeld, columnName, holdTable, selectList, SHORT_WAIT } from './held-table.ts';
import type { PostgresSystem } from './system.ts';

interface Wanted {
  readonly schema: StreamSchema;
  readonly batch: RowBatch;
  readonly rows: readonly number[];
}

function keyOf(wanted: Wanted, row: number): (Buffer | string)[] {
  const { batch, schema } = wanted;
  return schema.key.map((column) => {
    const word = row * rowStride(batch) + column * 2;
    const at = batch.cells[word] ?? 0;
    const length = batch.cells[word + 1] ?? -1;
    if (length < 0) throw new ForebayError('internal', { message: 'a row without its key' });
    const bytes = batch.slab.subarray(at, at + length);
    return batch.encodings[column] === 'text' ? bytes.toString('utf8') : Buffer.from(bytes);
  });
}

/** All cells as text; null if none of the rows is there any more. */
export async function lookupRows(system: PostgresSystem, wanted: Wanted): Promise<RowBatch | null> {
  const { schema } = wanted;
  const encodings = schema.columns.map(() => 'text' as const);
  await using holder = await system.connect('lookup');
  const held = await asTableHeld(schema, () =>
    holdTable(
      { catalog: system.catalog, holder },
      { schema, oid: schema.ref, only: false },
      `BEGIN READ ONLY; SET LOCAL ${SHORT_WAIT}`,
    ),
  );
  const columns = selectList(held, schema, { encodings, dropped: 'null' });
  const where = schema.key
    .map((column, i) => `${columnName(held, schema, column)} = $${i + 1}`)
    .join(' AND ');
  const sql = `SELECT ${columns} FROM ${held.name} WHERE ${where}`;
  const found: (string | null)[][] = [];
  for (const row of wanted.rows) {
    const { rows } = await holder.query(sql, keyOf(wanted, row));
    found.push(...rows);
  }
  if (found.length === 0) return null;
  const values = found.map((row) =>
    row.map((value) => (value === null ? null : Buffer.from(value))),
  );
  const bytes = values.flat().reduce((sum, value) => sum + (value?.length ?? 0), 0);
  const slab = system.context.slabs.take(bytes);
  const builder = new RowBatchBuilder(schema, encodings, slab);
  let at = 0;
  for (const row of values) {
    const base = builder.beginRow(OP_READ, 0, 0);
    const { cells } = builder;
    for (const [column, value] of row.entries()) {
      cells[base + column * 2] = at;
      cells[base + column * 2 + 1] = value === null ? -1 : value.length;
      if (value !== null) at += value.copy(slab, at);
    }
  }
  return builder.finish();
}
