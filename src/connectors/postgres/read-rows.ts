/** Reading a destination table back, in the cells that the stream's own schema would have; for compare. */
import type { StreamTarget } from '../../core/connector.ts';
import type { RowBatch } from '../../core/row-batch.ts';
import type { SlabPool } from '../../core/slab.ts';
import type { CellEncoding } from '../../core/value.ts';
import { cellPath } from './cell-path.ts';
import type { PgConnection } from './connection.ts';
import { decodeCopyBinary } from './copy-decode.ts';
import { DELETED_AT } from './lane.ts';
import { quoteIdent, quoteName } from './sql.ts';
import { type ExistingColumn, type ExistingTable, readTable } from './target-table.ts';
import { builtinType } from './target-types.ts';

/** A column as a cell of the stream; text comes from the type's output function, as the source sends it. */
function cellSql(
  target: StreamTarget,
  index: number,
  encoding: CellEncoding,
  column: ExistingColumn,
): string {
  const type = target.schema.columns[index]?.type ?? { kind: 'other' };
  const name = quoteIdent(column.name);
  const text = `textin(${column.output}(${name}))`;
  const native = builtinType(type);
  const textual = native === null || type.kind === 'text' || type.kind === 'json';
  if (textual) return encoding === 'text' || type.kind === 'json' ? text : name;
  if (cellPath(target.schema, index, 'binary', column).direct)
    return encoding === 'text' ? text : name;
  // A wider column prints the stream's values in the stream's type.
  const narrowed = `${name}::${native.name}`;
  if (encoding === 'binary') return narrowed;
  return column.receive === 'textrecv' ? text : `${narrowed}::text`;
}

function selectSql(
  target: StreamTarget,
  encodings: readonly CellEncoding[],
  table: ExistingTable,
): string {
  const columns = target.schema.columns.map((column, index) => {
    const there = table.columns.get(column.name);
    return there === undefined
      ? 'NULL::text'
      : cellSql(target, index, encodings[index] ?? 'text', there);
  });
  const alive =
    target.deletes === 'soft' && table.columns.has(DELETED_AT)
      ? ` WHERE ${DELETED_AT} IS NULL`
      : '';
  return `SELECT ${columns.join(', ')} FROM ${quoteName(table.name)}${alive}`;
}

export async function* readRows(
  connection: PgConnection,
  target: StreamTarget,
  options: { readonly encodings: readonly CellEncoding[]; readonly slabs: SlabPool },
): AsyncGenerator<RowBatch, void> {
  const table = await readTable(connection, target.table);
  if (table === null) return;
  const { encodings, slabs } = options;
  const copy = await connection.copyOut(
    `COPY (${selectSql(target, encodings, table)}) TO STDOUT (FORMAT binary)`,
  );
  yield* decodeCopyBinary(copy, { schema: target.schema, encodings, slabs });
}
