/** Brings a table to a newer schema, inside the transaction that is open. */
import type { EvolutionStep, StreamTarget } from '../../core/connector.ts';
import { ForebayError } from '../../core/errors.ts';
import { OP_READ, RowBatchBuilder } from '../../core/row-batch.ts';
import type { Column } from '../../core/stream-schema.ts';
import type { Connection } from './database.ts';
import { TableWriter } from './table-writer.ts';
import { readColumns, sameName, type TableColumn } from './tables.ts';
import {
  chooseColumnType,
  type ColumnType,
  columnTakes,
  printColumnType,
  quoteName,
  quoteTable,
  sameColumnType,
} from './types.ts';
import { widenColumn, type Workspace } from './workspace.ts';

export async function evolveTable(
  workspace: Workspace,
  target: StreamTarget,
  steps: readonly EvolutionStep[],
): Promise<void> {
  for (const step of steps) {
    const column = target.schema.columns[step.column];
    if (column === undefined) throw new RangeError(`the schema has no column ${step.column}`);
    const { namespace, name } = target.table;
    await workspace.makeAlterable(namespace, name);
    const present = await readColumns(workspace.connection, namespace, name);
    const sql = quoteTable(namespace, name);
    switch (step.kind) {
      case 'add-column':
        await addColumn(workspace.connection, { sql, present, column, existing: step.existing });
        if (step.existing !== null) workspace.noteWritten(namespace, name);
        break;
      case 'widen-column':
        await widen(workspace.connection, { sql, present, column }, target);
        break;
      case 'rename-column':
        await rename(workspace.connection, { sql, present, column }, step);
        break;
    }
  }
}

interface Place {
  /** The table, quoted. */
  readonly sql: string;
  readonly present: readonly TableColumn[];
  readonly column: Column;
}

function find({ present }: Place, name: string): TableColumn | undefined {
  return present.find((candidate) => sameName(candidate.name, name));
}

async function addColumn(
  connection: Connection,
  place: Place & { readonly existing: string | null },
): Promise<void> {
  const { sql, column, existing } = place;
  if (find(place, column.name) !== undefined) return;
  const type = chooseColumnType(column.type);
  await connection.run(
    `ALTER TABLE ${sql} ADD COLUMN ${quoteName(column.name)} ${printColumnType(type)}`,
  );
  if (existing === null) return;
  await stageValue(connection, column, type, existing);
  await connection.run(
    `UPDATE ${sql} SET ${quoteName(column.name)} = (SELECT c0 FROM temp.main.forebay_value)`,
  );
  await connection.run('DROP TABLE temp.main.forebay_value');
}

/** One value in PostgreSQL's text, as a value of DuckDB's: by the way that all cells go. */
async function stageValue(
  connection: Connection,
  column: Column,
  type: ColumnType,
  value: string,
): Promise<void> {
  await connection.run(`CREATE OR REPLACE TEMP TABLE forebay_value (c0 ${printColumnType(type)})`);
  const slab = Buffer.from(value, 'utf8');
  const schema = {
    stream: { namespace: 'temp', name: 'forebay_value' },
    ref: '',
    version: 1,
    columns: [column],
    computed: [],
    identity: 'none',
    key: [],
    family: 'duckdb',
  } as const;
  const builder = new RowBatchBuilder(schema, ['text'], slab);
  const word = builder.beginRow(OP_READ, 0, 0);
  builder.cells[word] = 0;
  builder.cells[word + 1] = slab.length;
  const writer = new TableWriter(
    connection,
    { catalog: 'temp', namespace: 'main', name: 'forebay_value' },
    [{ kind: 'cell', column: 0, logical: column.type, type, rawText: false }],
    ['text'],
  );
  const { rejects } = writer.write(builder.finish(), Int32Array.of(0), 0);
  writer.close();
  if (rejects.length > 0) {
    throw new ForebayError('value_rejected', {
      message: `The default of column ${column.name} cannot be kept as ${printColumnType(type)}`,
    });
  }
}

async function widen(connection: Connection, place: Place, target: StreamTarget): Promise<void> {
  const { sql, column } = place;
  const present = find(place, column.name);
  if (present === undefined) {
    throw new ForebayError('column_missing', {
      message: `Table ${sql} has no column ${column.name}`,
      stream: target.id,
    });
  }
  const type = chooseColumnType(column.type);
  if (sameColumnType(present.type, type) || columnTakes(present.type, column.type)) return;
  if (type.kind === 'varchar') {
    await widenColumn(connection, target.table, present);
    return;
  }
  await connection.run(
    `ALTER TABLE ${sql} ALTER COLUMN ${quoteName(present.name)} TYPE ${printColumnType(type)}`,
  );
}

async function rename(
  connection: Connection,
  place: Place,
  step: { readonly from: string; readonly to: string | null },
): Promise<void> {
  const name = step.to ?? place.column.name;
  const old = find(place, step.from);
  if (old === undefined) {
    if (find(place, name) !== undefined) return;
    throw new ForebayError('column_missing', {
      message: `Table ${place.sql} has no column ${step.from}`,
    });
  }
  await connection.run(
    `ALTER TABLE ${place.sql} RENAME COLUMN ${quoteName(old.name)} TO ${quoteName(name)}`,
  );
}
